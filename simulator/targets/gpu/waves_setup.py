"""Which decode kernel with constants of its own card a call takes, and the setup that they make."""

from __future__ import annotations

from functools import lru_cache

from arch_specs.gpu import Gpu
from arch_specs.load_gpu import load_gpu
from simulator.targets.gpu import columns as c
from simulator.targets.gpu.decode_times import DecodeKernel, load_decode_kernel

__all__ = ["find_waves", "set_waves"]


@lru_cache(maxsize=256)
def find_waves(name: str | None, gpu: Gpu, dtypes: tuple[str, str], head_dims: tuple[int, int]) -> DecodeKernel | None:
    """Return the decode kernel `name` where its constants hold: on its own card, unchanged, for a cache of 16 bits.

    `dtypes` are those of Q and of the cache; K and V must have the same head dim of up to 256.
    """
    if name is None or not {*dtypes} <= {"fp16", "bf16"} or head_dims[0] != head_dims[1] or head_dims[0] > 256:
        return None
    found = load_decode_kernel(name)
    return found if gpu == load_gpu(found.gpu) else None


def set_waves(s: list[float], kernel: DecodeKernel, head_dim: int) -> None:
    """Set the schedule and the constants of a decode kernel on its card."""
    fitted = kernel.constants
    s[c.SM], s[c.RESIDENT] = float(kernel.sm_count), float(kernel.resident)
    s[c.ROWS], s[c.COLUMNS] = float(kernel.rows), float(kernel.tile_keys(head_dim))
    s[c.KV_ROW], s[c.Q_ROW] = head_dim * 4.0, head_dim * 4.0  # K and V; Q and O
    s[c.UNSPLIT] = float(not kernel.splits_mha)
    s[c.L2_HOLDS], s[c.KNEE], s[c.KNEE_POWER] = kernel.l2_bytes, fitted.l2_knee, fitted.l2_power
    s[c.DRAM_RATE], s[c.L2_RATE] = fitted.dram_bytes_per_s, fitted.l2_bytes_per_s
    s[c.BLOCK_RATE], s[c.TILE_S], s[c.BLOCK] = fitted.block_bytes_per_s, fitted.tile_s, fitted.block_s
    s[c.SHARE], s[c.PACK_S], s[c.COPY] = fitted.share_s, fitted.pack_s, fitted.copy_s if kernel.copies else 0.0
    s[c.LAUNCH], s[c.LAUNCHES] = fitted.launch_s, 1.0
    s[c.MERGE], s[c.MERGE_EACH] = fitted.merge_s, fitted.merge_split_s
