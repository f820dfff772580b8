"""GPUs as a target: attention kernels as schedules on streaming multiprocessors, and measured rows to judge them by."""
