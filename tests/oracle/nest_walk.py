"""A slow walk through a loop nest that counts words by looking at every step; shares no code with the simulator."""

from __future__ import annotations

import itertools

Loops = list[tuple[str, int]]
Level = tuple[str, Loops, bool]  # name, loops, spatial


def _steps(loops: Loops):
    """Yield the coordinates of every step of a list of loops, in order, keyed by the loop's place."""
    yield from itertools.product(*(range(bound) for _, bound in loops))


def walk(levels: list[Level], keep: list[str], variables: set[str]) -> dict[str, tuple[int, int]]:
    """Return, by memory, the words that cross between it and the next keeper inside, and those that arrive.

    One instance of each level is watched. A tile is moved when it differs from the one before; the datapath, inside
    everything, moves its word at every step.
    """
    names = [name for name, _, spatial in levels if not spatial]
    held = [name for name in names if name in keep]
    result = {}
    for index, memory in enumerate(held):
        inner = held[index + 1] if index + 1 < len(held) else None
        crossing = _moved(levels, memory, inner, variables)
        arriving = _moved(levels, None, memory, variables) if index else 0
        result[memory] = (crossing, arriving)
    return result


def _position(levels: list[Level], memory: str | None) -> int:
    if memory is None:
        return len(levels)
    return next(i for i, (name, _, spatial) in enumerate(levels) if name == memory and not spatial)


def _moved(levels: list[Level], source: str | None, target: str | None, variables: set[str]) -> int:
    """Count the words that tiles of `target` bring over, for all instances that one `source` serves."""
    end = _position(levels, target)
    start = _position(levels, source) if source is not None else end
    outer = [(i, j, v, n) for i, (_, ls, sp) in enumerate(levels[:end]) if not sp for j, (v, n) in enumerate(ls)]
    between = [
        (i, j, v, n) for i, (_, ls, sp) in enumerate(levels) if sp and start <= i < end for j, (v, n) in enumerate(ls)
    ]
    inside = [(i, j, v, n) for i, (_, ls, _) in enumerate(levels) if i >= end for j, (v, n) in enumerate(ls)]
    words_at_once = {
        tuple(c for c, loop in zip(point, between + inside, strict=True) if loop[2] in variables)
        for point in _steps([(loop[2], loop[3]) for loop in between + inside])
    }
    moves, before = 0, None
    for point in _steps([(loop[2], loop[3]) for loop in outer]):
        tile = tuple(c for c, loop in zip(point, outer, strict=True) if loop[2] in variables)
        if target is None or tile != before:
            moves += 1
        before = tile
    return moves * len(words_at_once)


def distinct_words(levels: list[Level], memory: str, variables: set[str]) -> int:
    """Count the different words of a tensor that one instance of a memory sees over the whole run."""
    at = _position(levels, memory)
    loops = [loop for i, (_, ls, sp) in enumerate(levels) if not (sp and i < at) for loop in ls]
    return len({tuple(c for c, (v, _) in zip(p, loops, strict=True) if v in variables) for p in _steps(loops)})
