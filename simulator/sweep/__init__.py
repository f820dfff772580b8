"""Many designs, one tidy table: the product of axes over extents, numbers of the machine and knobs of the mapping."""
