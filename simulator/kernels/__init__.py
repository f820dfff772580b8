"""The struct-of-arrays path: the rules of a mapping as named terms, and those as a compiled loop over designs."""
