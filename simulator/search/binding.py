"""Which part each Einsum of a corner works on: many bindings at once, as rows of arrays, those that cannot win dropped.

A binding costs what its operations cost, and for each tensor no less than the cheapest way to keep it between the parts
that touch it. Rows grow Einsum by Einsum; a row whose operations, with the least of what is still to come, are above
the best design so far is dropped before it grows. Tensors are added to few rows at first, and to more and more of them
while no other corner is more promising.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from simulator.layout import Placed
from simulator.search.solve import Bound, Bounded, Corner, Limit, Tables, columns_of, may_win

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Digits = NDArray[np.int64]

_GROWTH = 8  # of the number of bindings that are tightened next

__all__ = ["Bindings", "bind", "bound_binding", "tighten"]


@dataclass(frozen=True)
class Bindings:
    """The bindings of a corner from position `start` on, the one with the least bound first.

    `places` are the ways to place each Einsum; a row holds a number for each of them, what its operations cost, and
    what it costs at the least. `loose` bounds are of operations and of tensors that one Einsum alone touches; then
    `step` bindings are to be tightened next. `dropped` counts those that cannot win.
    """

    corner: Corner
    places: tuple[tuple[Placed, ...], ...]
    rows: list[tuple[list[int], list[float], Bound]]
    dropped: int
    start: int = 0
    step: int = 1
    loose: bool = False

    @property
    def bound(self) -> Bound:
        """What none of them is below."""
        return self.rows[self.start][2]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.rows) - self.start

    @property
    def rest(self) -> Bindings | None:
        """All but the first, or those that are not to be tightened yet; None where there are no more."""
        rest = replace(self, start=self.start + self.step, step=_GROWTH * self.step if self.loose else 1)
        return rest if rest.count > 0 else None


def bound_binding(tables: Tables, bindings: Bindings) -> Bounded:
    """Return the first of some bindings with the ways to keep its tensors."""
    digits, base, bound = bindings.rows[bindings.start]
    picked = (places[digit] for places, digit in zip(bindings.places, digits, strict=True))
    placed = {p.einsum.name: p for p in picked}
    options = tuple(
        tables.ways(tensor, tuple(placed[m] for m in members)) for tensor, (members, _) in tables.tensors.items()
    )
    return Bounded(bindings.corner, placed, tuple(base), options, bound)


def bind(tables: Tables, corner: Corner, limit: Limit) -> Bindings:
    """Return the bindings of a corner whose operations and own words may be below a limit, the least bound first."""
    places = []
    for name in corner.group.members:
        found = [tables.placed(corner.frame, name, part, corner.layers[part.name]) for part in tables.able[name]]
        places.append(tuple(p for p in found if p is not None))
    if not all(places):
        return Bindings(corner, tuple(places), [], 0)
    work = [np.array([tables.setting.work_cost(p) for p in own]) for own in places]
    least = [w + np.array([_own_words(tables, p) for p in own]) for w, own in zip(work, places, strict=True)]
    ahead = np.cumsum([w.min(axis=0) for w in reversed(least)], axis=0)[::-1]
    digits, base = np.zeros((1, 0), np.int64), np.zeros((1, work[0].shape[1]))
    bound = base
    dropped = 0
    for k, (own, lower) in enumerate(zip(work, least, strict=True)):
        rows, ways = len(digits), len(own)
        digits = np.hstack([np.repeat(digits, ways, axis=0), np.tile(np.arange(ways), rows)[:, None]])
        base = (base[:, None, :] + own[None, :, :]).reshape(rows * ways, base.shape[1])
        bound = (bound[:, None, :] + lower[None, :, :]).reshape(rows * ways, base.shape[1])
        able = may_win(bound + ahead[k + 1] if k + 1 < len(work) else bound, limit)
        dropped += int((~able).sum())
        digits, base, bound = digits[able], base[able], bound[able]
    there = np.isfinite(bound).all(axis=1)
    digits, base, bound = digits[there], base[there], bound[there]
    dropped += int((~there).sum())
    return Bindings(corner, tuple(places), _rows(digits, base, bound, limit), dropped, loose=True)


def _own_words(tables: Tables, placed: Placed) -> Array:
    """Return the least cost of the tensors that only one Einsum touches; infinite where one has no place to be."""
    own = [tensor for tensor, (members, _) in tables.tensors.items() if members == (placed.einsum.name,)]
    cost = np.zeros(2 + len(tables.setting.resources))
    for tensor in own:
        ways = tables.ways(tensor, (placed,))
        cost = cost + (np.min([way.cost for way in ways], axis=0) if ways else np.inf)
    return cost


def tighten(tables: Tables, bindings: Bindings, limit: Limit) -> Bindings:
    """Return the next bindings with the least cost of every tensor added to their bounds, those dropped that lose."""
    chosen = bindings.rows[bindings.start : bindings.start + bindings.step]
    digits, base = np.array([row[0] for row in chosen]), np.array([row[1] for row in chosen])
    least = base
    # A state that is carried along is what fits nowhere, if anything does: with it first, the others are not looked at.
    for tensor in sorted(tables.tensors, key=lambda name: not tables.setting.recurrent[name]):
        if not len(digits):
            break
        least = least + _least(tables, bindings, tensor, digits)
        able = np.isfinite(least).all(axis=1) & may_win(least, limit)
        digits, base, least = digits[able], base[able], least[able]
    rows = _rows(digits, base, least, limit)
    return Bindings(bindings.corner, bindings.places, rows, len(chosen) - len(rows))


def _rows(digits: Digits, base: Array, least: Array, limit: Limit) -> list[tuple[list[int], list[float], Bound]]:
    """Return rows as plain values, the least first."""
    columns = columns_of(least)
    order = np.lexsort(tuple(reversed(limit.keys(*columns))))
    bounds = zip(*(column[order].tolist() for column in columns), strict=True)
    return list(zip(digits[order].tolist(), base[order].tolist(), bounds, strict=True))


def _least(tables: Tables, bindings: Bindings, tensor: str, digits: Digits) -> Array:
    """Return, row by row, the least cost of a tensor; infinite where it has no place to be."""
    members, places = bindings.corner.group.members, bindings.places
    at = [members.index(name) for name in tables.tensors[tensor][0]]
    shape = tuple(len(places[i]) for i in at)
    codes, where = np.unique(np.ravel_multi_index(tuple(digits[:, at].T), shape), return_inverse=True)
    costs = np.full((len(codes), 2 + len(tables.setting.resources)), np.inf)
    for row, code in enumerate(codes):
        chosen = tuple(places[i][int(d)] for i, d in zip(at, np.unravel_index(code, shape), strict=True))
        ways = tables.ways(tensor, chosen)
        if ways:
            costs[row] = np.min([way.cost for way in ways], axis=0)
    return costs[where.reshape(-1)]
