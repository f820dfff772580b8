"""From one cascade to equal ones: rules guarded by the properties of operators, and a search over them."""
