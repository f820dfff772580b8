"""Why a mask is not block-sparse under a pair of tiles, and the nearest window, stride or tiles that are.

A visited tile needs no mask where all its queries share one window and the window begins and ends on the grid of KV
tiles. That holds along a dimension if the Q tile divides the stride, and the KV tile divides window, stride, the
offset floor(w / 2) - floor(s / 2) and the length of each dilation group; or if the window is the whole group.
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

_SCANNED = 512  # values of one parameter that are tried one by one; beyond, those that meet the conditions


@dataclass(frozen=True, slots=True)
class Change:
    """A change that makes a mask block-sparse: what changes, the new values, and the counts then."""

    what: str
    windows: tuple[Window, ...]
    q_tile: tuple[int, ...]
    kv_tile: tuple[int, ...]
    counts: GnaCounts

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
        return f"{values[self.what]} is block-sparse: {self.counts.speedup_sim_mean:.3g} times fewer tiles"


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
    windows: Sequence[Window], q_tile: Sequence[int], kv_tile: Sequence[int], pairs: Iterable[Pair] = ()
) -> Advice:
    """Return why a mask is not block-sparse, and the nearest window, stride, both, or pair among `pairs` that is.

    >>> from simulator.masks.windows import make_windows
    >>> plain = make_windows((48, 80), (24, 24), (1, 8), (1, 1), (0, 0))
    >>> str(advise(plain, (8, 8), (8, 8)).changes[1])
    'stride 8x8 is block-sparse: 6.67 times fewer tiles'
    """
    windows, q, kv = tuple(windows), tuple(q_tile), tuple(kv_tile)
    reasons = tuple(find_reasons(windows, q, kv))
    if not reasons:
        return Advice((), ())
    changes = [change for what in _NEAREST if (change := _move(what, windows, q, kv)) is not None]
    if any(change.what == "stride" for change in changes):
        changes = [change for change in changes if change.what != "window and stride"]
    others = tuple(pairs)
    fitting = [Change("tile", windows, *pair, count_windows(windows, *pair)) for pair in others]
    fitting = [change for change in fitting if change.counts.block_sparse]
    if not changes and not fitting:
        moved = (_move("stride", windows, *pair) for pair in others)
        fitting = [replace(change, what="tile and stride") for change in moved if change is not None]
    if fitting:
        changes.append(max(fitting, key=lambda one: (one.counts.speedup_sim_mean, -one.shared)))
    return Advice(reasons, tuple(changes))


def _move(what: str, windows: tuple[Window, ...], q_tile: tuple[int, ...], kv_tile: tuple[int, ...]) -> Change | None:
    """Return the nearest change of window, stride or both that is block-sparse and not dense; None where none is."""
    moved = [_NEAREST[what](*one) for one in zip(windows, q_tile, kv_tile, strict=True)]
    made = tuple(one for one in moved if one is not None)
    dense = all(one.width * one.dilation == one.extent for one in made)
    if len(made) < len(windows) or dense:
        return None
    return Change(what, made, q_tile, kv_tile, count_windows(made, q_tile, kv_tile))


def find_reasons(windows: Sequence[Window], q_tile: Sequence[int], kv_tile: Sequence[int]) -> Iterator[str]:
    """Yield the alignment conditions that fail in dimensions where a visited tile needs a mask."""
    for place, (window, q, kv) in enumerate(zip(windows, q_tile, kv_tile, strict=True), 1):
        if not count_dimension(window, q, kv).aligned:
            yield from (f"dimension {place}: {text}" for text in _reasons_along(window, q, kv))


def _reasons_along(window: Window, q: int, kv: int) -> Iterator[str]:
    if window.causal:
        yield "it is causal, so tiles at the end of each window need the mask"
        return
    offset = window.width // 2 - window.stride // 2
    if window.stride % q:
        yield f"the Q tile {q} does not divide the stride {window.stride}, so its queries differ in their windows"
    if window.width % kv:
        yield f"the KV tile {kv} does not divide the window {window.width}"
    if window.stride % kv and not window.stride % q:
        yield f"windows step off the grid: the KV tile {kv} does not divide the stride {window.stride}"
    if offset % kv:
        yield f"windows begin off the grid: the KV tile {kv} does not divide floor(w/2) - floor(s/2) = {offset}"
    for length, _ in window.groups():
        if length % kv:
            where = f"{length} positions of a dilation group" if window.dilation > 1 else f"extent {length}"
            yield f"the last windows begin off the grid: the KV tile {kv} does not divide the {where}"


def _meets_conditions(window: Window, q: int, kv: int) -> bool:
    lengths = [length for length, _ in window.groups()]
    if all(length == window.width for length in lengths) and not window.causal:
        return True
    offset = window.width // 2 - window.stride // 2
    parts = (window.stride % q, window.stride % kv, window.width % kv, offset % kv, *(n % kv for n in lengths))
    return not window.causal and not any(parts)


def _widths(window: Window) -> Iterator[int]:
    """Yield legal widths, the nearest first, of two equally near the wider."""
    legal = range(max(2, window.stride), window.extent // window.dilation + 1)
    return iter(sorted(legal, key=lambda width: (abs(width - window.width), -width)))


def _strides(window: Window) -> Iterator[int]:
    """Yield legal strides, the nearest first, of two equally near the smaller."""
    return iter(sorted(range(1, window.width + 1), key=lambda stride: (abs(stride - window.stride), stride)))


def _first(candidates: Iterable[Window], q: int, kv: int) -> Window | None:
    """Return the first window that is aligned, looked at one by one and then by the conditions alone."""
    for tried, window in enumerate(candidates):
        if tried < _SCANNED and count_dimension(window, q, kv).aligned:
            return window
        if tried >= _SCANNED and _meets_conditions(window, q, kv):
            return window
    return None


def _nearest_window(window: Window, q: int, kv: int) -> Window | None:
    return _first((replace(window, width=width) for width in _widths(window)), q, kv)


def _nearest_stride(window: Window, q: int, kv: int) -> Window | None:
    return _first((replace(window, stride=stride) for stride in _strides(window)), q, kv)


def _nearest_both(window: Window, q: int, kv: int) -> Window | None:
    """Return the window that meets the conditions with the least change of width and stride together."""
    if count_dimension(window, q, kv).aligned:
        return window
    full = window.extent // window.dilation
    widths = {*range(kv, full + 1, kv), full} - {1}
    made = (
        replace(window, width=width, stride=stride)
        for width in widths
        for stride in {*range(q, width + 1, q), min(window.stride, width)}
    )
    fitting = (one for one in made if _meets_conditions(one, q, kv))
    return min(
        fitting,
        key=lambda one: (abs(one.width - window.width) + abs(one.stride - window.stride), one.stride, -one.width),
        default=None,
    )


_NEAREST: dict[str, Callable[[Window, int, int], Window | None]] = {
    "window": _nearest_window,
    "stride": _nearest_stride,
    "window and stride": _nearest_both,
}
