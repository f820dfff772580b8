"""Which KV tile each Q tile visits, wholly or in part, as an array to look at."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from einsum_cascades.diagnostics import SpecError
from simulator.masks.tiling import tile_group
from simulator.masks.windows import Window, ceiling

__all__ = ["map_tiles"]

_LARGEST = 1 << 24  # pairs of tiles


def map_tiles(windows: Sequence[Window], q_tile: Sequence[int], kv_tile: Sequence[int]) -> NDArray[np.int8]:
    """Return one row per Q tile and one column per KV tile of the first dilation group: 0 skipped, 1 partial, 2 full.

    Raises SpecError for more than 16 million pairs of tiles.

    >>> map_tiles([Window(12, 4)], (4,), (4,)).tolist()
    [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    """
    lengths = [window.groups()[0][0] for window in windows]
    rows = prod(ceiling(n, q) for n, q in zip(lengths, q_tile, strict=True))
    columns = prod(ceiling(n, kv) for n, kv in zip(lengths, kv_tile, strict=True))
    if rows * columns > _LARGEST:
        raise SpecError(f"a map of {rows} x {columns} tiles is too large to be made: at most {_LARGEST} pairs")
    visited = full = np.ones((1, 1), dtype=np.int8)
    for window, length, q, kv in zip(windows, lengths, q_tile, kv_tile, strict=True):
        tiles = tile_group(window, length, q, kv)
        place = np.arange(ceiling(length, kv))
        low, inner = tiles.first[: tiles.real, None], tiles.first_full[: tiles.real, None]
        along = (place >= low) & (place < low + tiles.visited[: tiles.real, None])
        within = (place >= inner) & (place < inner + tiles.full[: tiles.real, None])
        visited, full = np.kron(visited, along.astype(np.int8)), np.kron(full, within.astype(np.int8))
    return np.asarray(visited + full, dtype=np.int8)
