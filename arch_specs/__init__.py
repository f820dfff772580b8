"""Hardware specifications: typed models of machines, read from YAML with a unit and a source for each number."""
