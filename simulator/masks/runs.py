"""One-dimensional tiling: tiles are runs of tokens in row-major order, and nothing is laid out anew.

A run of queries covers parts of few rows, but its keys lie scattered in many: the curse of multi-dimensionality
(arXiv 2504.16922, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from simulator.masks.tiling import Integers
from simulator.masks.windows import Window, ceiling

__all__ = ["RunCounts", "count_runs"]


@dataclass(frozen=True, slots=True)
class RunCounts:
    """KV runs visited by runs of queries, over all dilation groups; `dense_tiles` is what each visits without mask."""

    q_tiles: int
    visited_tiles: int
    max_tiles: int
    min_tiles: int
    dense_tiles: int


def count_runs(windows: Sequence[Window], q_rows: int, kv_rows: int) -> RunCounts:
    """Return the KV runs of `kv_rows` tokens that hold a key of each run of `q_rows` queries.

    >>> from simulator.masks.windows import make_windows
    >>> flux = make_windows((256, 256), (80, 80), (1, 1), (1, 1), (0, 0))
    >>> found = count_runs(flux, 256, 128)
    >>> found.max_tiles, found.dense_tiles
    (160, 512)
    """
    visits, weights = [], []
    for kinds in product(*(window.groups() for window in windows)):
        lengths = [length for length, _ in kinds]
        made = _visits_of_group(windows, lengths, q_rows, kv_rows)
        visits.append(made)
        weights.append(prod(many for _, many in kinds))
    return RunCounts(
        q_tiles=sum(len(made) * many for made, many in zip(visits, weights, strict=True)),
        visited_tiles=sum(int(made.sum()) * many for made, many in zip(visits, weights, strict=True)),
        max_tiles=max(int(made.max()) for made in visits),
        min_tiles=min(int(made.min()) for made in visits),
        dense_tiles=ceiling(prod(window.extent for window in windows), kv_rows),
    )


def _visits_of_group(windows: Sequence[Window], lengths: Sequence[int], q_rows: int, kv_rows: int) -> Integers:
    """Return the KV runs that each run of queries visits in the map of one dilation group."""
    *outer, columns = lengths
    tokens = prod(lengths)
    spans = [
        [window.span(length, position) for position in range(length)]
        for window, length in zip(windows, lengths, strict=True)
    ]
    found = []
    for first in range(0, tokens, q_rows):
        last = min(first + q_rows, tokens)
        marked = np.zeros(ceiling(tokens, kv_rows), dtype=np.bool_)
        for row in range(first // columns, (last - 1) // columns + 1):
            left, right = max(first - row * columns, 0), min(last - row * columns, columns)
            begin, end = spans[-1][left][0], spans[-1][right - 1][1]
            places = np.unravel_index(row, outer) if outer else ()
            rows = _rows([along[place] for along, place in zip(spans, places, strict=False)], outer)
            low, high = (rows * columns + begin) // kv_rows, (rows * columns + end - 1) // kv_rows
            for step in range(int((high - low).max()) + 1):
                marked[np.minimum(low + step, high)] = True
        found.append(int(marked.sum()))
    return np.array(found, dtype=np.int64)


def _rows(spans: Sequence[tuple[int, int]], extents: Sequence[int]) -> Integers:
    """Return the numbers of the rows in a box, in row-major order."""
    rows = np.zeros(1, dtype=np.int64)
    for (start, end), extent in zip(spans, extents, strict=True):
        rows = (rows[:, None] * extent + np.arange(start, end)).ravel()
    return rows
