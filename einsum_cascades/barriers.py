"""When a dependence is a barrier: a point that needs all of a fiber, and one that needs it from one end only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from einsum_cascades.dataflow import Coordinate
from einsum_cascades.flow import POINT, Disjunct

__all__ = ["precedes", "ways_of"]


def precedes(
    arriving: Iterable[Disjunct], at: Mapping[int, Coordinate], group: frozenset[int], *, loose: bool = False
) -> bool:
    """Say whether a point that depends on the target so depends on all of its fiber along the group.

    `at` gives the target's coordinates at the point; `loose` lets a point that lacks another coordinate take any.
    """
    halves: dict[tuple[int, object], list[tuple[float, float]]] = {}
    for disjunct in arriving:
        rest = left_open(disjunct, at, group, loose=loose)
        if rest is None:
            continue
        if not rest:
            return True
        if len(rest) == 1:
            q, key, low, high = rest[0]
            halves.setdefault((q, key), []).append((low, high))
    # A prefix and a suffix that meet are together everything.
    for parts in halves.values():
        prefix = [high for low, high in parts if low == -inf]
        suffix = [low for low, high in parts if high == inf]
        if prefix and suffix and max(prefix) >= min(suffix) - 2:
            return True
    return False


def ways_of(arriving: Iterable[Disjunct], at: Mapping[int, Coordinate], group: frozenset[int]) -> set[str]:
    """Return the directions in which a fiber must be walked for a read to find what it needs of another."""
    found = set()
    for disjunct in arriving:
        rest = left_open(disjunct, at, group, loose=False)
        if rest is not None and len({q for q, *_ in rest}) == 1:
            (_, _, low, high), *_ = rest
            if low == -inf and high < inf:
                found.add("up")
            elif high == inf and low > -inf:
                found.add("down")
    return found


def left_open(
    disjunct: Disjunct, at: Mapping[int, Coordinate], group: frozenset[int], *, loose: bool
) -> list[tuple[int, object, float, float]] | None:
    """Return the constraints that keep a dependence from covering the fiber; None when it is of another fiber."""
    rest: list[tuple[int, object, float, float]] = []
    for (q, key, marked), (low, high) in disjunct:
        own = at.get(q)
        mine = own is not None and own.variable == key
        if marked and not mine and key != POINT:
            continue  # a mask by another coordinate: it shortens the fiber, and this point lies within it
        if q in group:
            rest.append((q, key, low, high))
            continue
        same = own is not None and mine and low <= own.high and own.low <= high
        if not same and not (loose and own is None):
            return None
    return rest
