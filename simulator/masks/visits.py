"""What a backend's kernel visits of a mask: the Q tiles that it launches, the KV tiles of each, those that it masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from simulator.masks.gna import count_windows
from simulator.masks.tiles import Backend, Pair
from simulator.masks.tiling import count_dimension
from simulator.masks.windows import Window, ceiling

__all__ = ["Visits", "count_visits"]


@dataclass(frozen=True, slots=True)
class Visits:
    """Q tiles launched for one head, the KV tiles that they visit in all, the most of one Q tile, those masked."""

    q_tiles: int
    steps: int
    longest: int
    masked: int


def count_visits(windows: Sequence[Window], tiles: Pair, backend: Backend, extra_kv: int = 0) -> Visits:
    """Return what a backend's kernel visits of a mask, for one head.

    Where keys lie on a grid, Q tiles of padding alone are launched too. A kernel masks all tiles unless none needs it,
    or those alone that are not full.

    >>> from simulator.masks.tiles import load_backend
    >>> from simulator.masks.windows import make_windows
    >>> hunyuan = make_windows((30, 48, 80), (18, 24, 24), (16, 8, 8), (1, 1, 1), (0, 0, 0))
    >>> count_visits(hunyuan, ((4, 8, 8), (2, 8, 8)), load_backend("blackwell"))
    Visits(q_tiles=480, steps=38880, longest=81, masked=0)
    """
    counts = count_windows(windows, *tiles, extra_kv)
    each = [count_dimension(*one) for one in zip(windows, *tiles, strict=True)]
    if backend.dynamic:
        longest = prod(one.most_dynamic for one in each) + ceiling(extra_kv, prod(tiles[1]))
        clean = all(one.aligned_dynamic for one in each)
        return Visits(counts.q_tiles, counts.dynamic_tiles, longest, 0 if clean else counts.dynamic_tiles)
    launched = prod(one.grid(q) * one.dilation for one, q in zip(windows, tiles[0], strict=True))
    steps = counts.padded_tiles
    masked = steps - counts.full_tiles if backend.masks_partial else steps
    return Visits(launched, steps, counts.max_tiles, 0 if counts.block_sparse else masked)
