"""Why a mask is not block-sparse under a pair of tiles, and the nearest window, stride or tiles that are.

A visited tile needs no mask where all its queries share one window and the window begins and ends on the grid of KV
tiles. That holds along a dimension if the Q tile divides the stride, and the KV tile divides window, stride, the
offset floor(w / 2) - floor(s / 2) and the length of each dilation group; or if the window is the whole group. A kernel
that tiles keys from the first one that is needed asks only for the stride and the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from simulator.masks.gna import GnaCounts, count_windows
from simulator.masks.tiles import Pair, print_pair
from simulator.masks.tiling import count_dimension
from simulator.masks.windows import Window

__all__ = ["Advice", "Change", "advise", "find_reasons"]

# How far the advice looks for another value: so many on either side, so many multiples of a tile on either side.
_SCANNED = 256
_MULTIPLES = 64
_COUNTED = 1024  # Q tiles of a dimension up to which a candidate is counted


@dataclass(frozen=True, slots=True)
class Change:
    """A change that makes a mask block-sparse: what changes, the new values, and the counts then."""

    what: str
    windows: tuple[Window, ...]
    q_tile: tuple[int, ...]
    kv_tile: tuple[int, ...]
    counts: GnaCounts
    fewer: float  # dense tiles over those visited

    @property
    def shared(self) -> int:
        """The queries that share a window."""
        return prod(one.stride for one in self.windows)

    def __str__(self) -> str:
        strides = "x".join(str(one.stride) for one in self.windows)
        widths = "x".join(str(one.width) for one in self.windows)
        tiles = print_pair(self.q_tile, self.kv_tile)
        values = {
            "window": f"window {widths}",
            "stride": f"stride {strides}",
            "window and stride": f"window {widths} with stride {strides}",
            "tile": f"tile {tiles}",
            "tile and stride": f"tile {tiles} with stride {strides}",
        }
        return f"{values[self.what]} is block-sparse: {self.fewer:.3g} times fewer tiles"


@dataclass(frozen=True, slots=True)
class Advice:
    """The conditions that fail, by dimension, and the nearest changes after which none does."""

    reasons: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything as sentences; one that says so where nothing is wrong."""
        if not self.reasons:
            return ("block-sparse: no visited tile needs a mask",)
        return (*self.reasons, *map(str, self.changes))


def advise(
    windows: Sequence[Window],
    q_tile: Sequence[int],
    kv_tile: Sequence[int],
    pairs: Iterable[Pair] = (),
    *,
    dynamic: bool = False,
) -> Advice:
    """Return why a mask is not block-sparse, and the nearest window, stride, both, or pair among `pairs` that is.

    `dynamic`: keys are tiled from the first one that a Q tile needs.

    >>> from simulator.masks.windows import make_windows
    >>> plain = make_windows((48, 80), (24, 24), (1, 8), (1, 1), (0, 0))
    >>> str(advise(plain, (8, 8), (8, 8)).changes[1])
    'stride 8x8 is block-sparse: 6.67 times fewer tiles'
    """
    windows, pair = tuple(windows), (tuple(q_tile), tuple(kv_tile))
    reasons = tuple(find_reasons(windows, *pair, dynamic=dynamic))
    if not reasons:
        return Advice((), ())
    changes = [change for what in _NEAREST if (change := _move(what, windows, pair, dynamic)) is not None]
    if any(change.what == "stride" for change in changes):
        changes = [change for change in changes if change.what != "window and stride"]
    others = tuple(pairs)
    fitting = [_change("tile", windows, one, dynamic) for one in others if _fit(windows, one, dynamic)]
    if not changes and not fitting:
        moved = (_move("stride", windows, one, dynamic) for one in others)
        fitting = [replace(change, what="tile and stride") for change in moved if change is not None]
    if fitting:
        changes.append(max(fitting, key=lambda one: (one.fewer, -one.shared)))
    return Advice(reasons, tuple(changes))


def _fit(windows: tuple[Window, ...], pair: Pair, dynamic: bool) -> bool:
    return all(_Tiling(q, kv, dynamic).fits(one) for one, q, kv in zip(windows, *pair, strict=True))


def _change(what: str, windows: tuple[Window, ...], pair: Pair, dynamic: bool) -> Change:
    counts = count_windows(windows, *pair)
    visited = counts.dynamic_tiles if dynamic else counts.visited_tiles
    return Change(what, windows, *pair, counts, counts.dense_q_tiles * counts.dense_kv_tiles / visited)


def _move(what: str, windows: tuple[Window, ...], pair: Pair, dynamic: bool) -> Change | None:
    """Return the nearest change of window, stride or both that is block-sparse and not dense; None where none is."""
    moved = [_NEAREST[what](_Tiling(q, kv, dynamic), one) for one, q, kv in zip(windows, *pair, strict=True)]
    made = tuple(one for one in moved if one is not None)
    dense = all(one.width * one.dilation == one.extent for one in made)
    return None if len(made) < len(windows) or dense else _change(what, made, pair, dynamic)


def find_reasons(
    windows: Sequence[Window], q_tile: Sequence[int], kv_tile: Sequence[int], *, dynamic: bool = False
) -> Iterator[str]:
    """Yield the conditions that fail in dimensions where a visited tile needs a mask."""
    for place, (window, q, kv) in enumerate(zip(windows, q_tile, kv_tile, strict=True), 1):
        tiling = _Tiling(q, kv, dynamic)
        if not tiling.fits(window):
            yield from (f"dimension {place}: {text}" for text in tiling.reasons(window))


@dataclass(frozen=True, slots=True)
class _Tiling:
    """The tiles of one dimension; keys lie on a fixed grid, or, `dynamic`, on one from the first that is needed."""

    q: int
    kv: int
    dynamic: bool

    def fits(self, window: Window) -> bool:
        """Say whether no visited tile needs a mask, by counting."""
        counted = count_dimension(window, self.q, self.kv)
        return counted.aligned_dynamic if self.dynamic else counted.aligned

    def reasons(self, window: Window) -> Iterator[str]:
        """Yield the conditions that fail; at least one does where the window does not fit."""
        q, kv = self.q, self.kv
        if window.causal:
            yield "it is causal, so tiles at the end of each window need the mask"
            return
        if window.stride % q:
            yield f"the Q tile {q} does not divide the stride {window.stride}, so its queries differ in their windows"
        if window.width % kv:
            yield f"the KV tile {kv} does not divide the window {window.width}"
        if self.dynamic:
            return
        if window.stride % kv and not window.stride % q:
            yield f"windows step off the grid: the KV tile {kv} does not divide the stride {window.stride}"
        if (offset := window.width // 2 - window.stride // 2) % kv:
            yield f"windows begin off the grid: the KV tile {kv} does not divide floor(w/2) - floor(s/2) = {offset}"
        for length, _ in window.groups():
            if length % kv:
                where = f"{length} positions of a dilation group" if window.dilation > 1 else f"extent {length}"
                yield f"the last windows begin off the grid: the KV tile {kv} does not divide the {where}"

    def meets_conditions(self, window: Window) -> bool:
        """Say whether no condition fails; then the window fits."""
        whole = all(length == window.width for length, _ in window.groups())
        return not window.causal and (whole or next(self.reasons(window), None) is None)

    def nearest_window(self, window: Window) -> Window | None:
        """Return the window of the nearest width that fits, of two equally near the wider."""
        least, most = max(2, window.stride), window.extent // window.dilation
        near = _outward(window.width, least, most, larger_first=True)
        widths = (*near, *(w for w in (*_multiples_near(self.kv, window.width, most), most) if w >= least))
        return self._first(replace(window, width=width) for width in widths)

    def nearest_stride(self, window: Window) -> Window | None:
        """Return the window of the nearest stride that fits, of two equally near the smaller."""
        near = _outward(window.stride, 1, window.width, larger_first=False)
        strides = (*near, *_multiples_near(self.q, window.stride, window.width))
        return self._first(replace(window, stride=stride) for stride in strides)

    def nearest_both(self, window: Window) -> Window | None:
        """Return the window that meets the conditions with the least change of width and stride together."""
        if self.fits(window):
            return window
        full = window.extent // window.dilation
        widths = {*_multiples_near(self.kv, window.width, full), full} - {1}
        strides = {*_multiples_near(self.q, window.stride, full), window.stride}
        made = (replace(window, width=w, stride=s) for w in widths for s in strides if s <= w)
        return min(
            (one for one in made if self.meets_conditions(one)),
            key=lambda one: (abs(one.width - window.width) + abs(one.stride - window.stride), one.stride, -one.width),
            default=None,
        )

    def _first(self, candidates: Iterable[Window]) -> Window | None:
        """Return the first window that fits: by counting, or by the conditions where there are very many tiles."""
        for window in candidates:
            if self.fits(window) if window.grid(self.q) <= _COUNTED else self.meets_conditions(window):
                return window
        return None


def _outward(value: int, least: int, most: int, *, larger_first: bool) -> list[int]:
    """Return the whole numbers around a value, the nearest first, no more than are looked at one by one."""
    around = range(max(least, value - _SCANNED), min(most, value + _SCANNED) + 1)
    return sorted(around, key=lambda one: (abs(one - value), -one if larger_first else one))


def _multiples_near(step: int, value: int, most: int) -> list[int]:
    """Return multiples of a step up to `most`, the nearest to a value first."""
    place = value // step
    near = range(max(1, place - _MULTIPLES), min(most // step, place + _MULTIPLES) + 1)
    return sorted((step * k for k in near), key=lambda one: abs(one - value))


_NEAREST: dict[str, Callable[[_Tiling, Window], Window | None]] = {
    "window": _Tiling.nearest_window,
    "stride": _Tiling.nearest_stride,
    "window and stride": _Tiling.nearest_both,
}
