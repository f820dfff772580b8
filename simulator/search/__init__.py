"""The best mapping and binding of a cascade on a spatial array, from the cascade and the machine alone."""
