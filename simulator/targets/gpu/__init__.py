"""Attention kernels on GPUs: kernel schedules as data, and the time, bound and energy of one on one card."""
