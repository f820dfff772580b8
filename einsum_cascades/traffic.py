"""Least traffic as a function of on-chip capacity: the curve on which a buffer is sized.

The inputs that hold the streamed rank are read once for every block of rows whose state fits on chip. What crosses a
pass is kept, written out and read back, or made again from inputs that are streamed once more; or all of the stream is
kept and the rows pass by. The least of these is what the best mapping of that family reaches. Beside it stands the
lower bound for exact attention of Saha and Ye, "The I/O Complexity of Attention, or How Optimal is FlashAttention?"
(ICML 2024).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf, prod, sqrt

from einsum_cascades.analysis import Analysis, analyze
from einsum_cascades.counts import compulsory_words
from einsum_cascades.ir import Cascade, Tensor
from einsum_cascades.points import extent_of, words_of
from einsum_cascades.polynomial import Polynomial

__all__ = ["Traffic", "least_traffic", "saha_ye_words"]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Words moved at each capacity (inf where nothing fits), and the way that attains it: keep, spill, ..."""

    capacity_words: tuple[int, ...]
    traffic_words: tuple[float, ...]
    way: tuple[str, ...]
    compulsory_words: int


@dataclass(frozen=True, slots=True)
class _Instance:
    """One independent part of the work: `rows` rows over a stream of `stream` words, `row` words moved per row."""

    count: int
    rows: int
    stream: int
    step: int
    row: int


def least_traffic(cascade: Cascade, extents: Mapping[str, int], capacities: Iterable[int]) -> Traffic:
    """Return the least words that a cascade moves at each capacity, given in words.

    Raises SpecError when extents are missing or contradictory.

    >>> from einsum_cascades.parser import parse_file
    >>> from einsum_cascades.registry import locate
    >>> one_pass = parse_file(locate("cascades", "attention_1pass"))
    >>> shape = {"B": 1, "H": 1, "E": 64, "F": 64, "M": 4096, "M0": 64, "P": 4096}
    >>> least_traffic(one_pass, shape, [1 << 14, 1 << 20]).traffic_words
    (35127296.0, 1048576.0)
    """
    analysis = analyze(cascade, extents)
    known = dict(analysis.extents or {})
    instance = _instance(cascade, analysis, known)
    capacities = tuple(capacities)
    points = [_best(analysis, instance, known, capacity) for capacity in capacities]
    least = int(compulsory_words(cascade).evaluate(known))
    return Traffic(capacities, tuple(float(w) for w, _ in points), tuple(way for _, way in points), least)


def _instance(cascade: Cascade, analysis: Analysis, extents: Mapping[str, int]) -> _Instance:
    family = _family(cascade, analysis.live.rank)
    stream = [t for t in cascade.inputs if set(t.ranks) & family]
    outer = [r for r in analysis.live.rows if all(r in t.ranks for t in stream)]
    count = prod(_extent(cascade, r, extents) for r in outer)
    rows = prod(_extent(cascade, r, extents) for r in analysis.live.rows if r not in outer)
    others = [t for t in (*cascade.inputs, *cascade.outputs) if t not in stream]
    words = sum(_words(cascade, t, extents) for t in stream) // count
    return _Instance(
        count,
        rows,
        words,
        -(-words // _extent(cascade, analysis.live.rank, extents)),
        -(-sum(_words(cascade, t, extents) for t in others) // (count * rows)),
    )


def _family(cascade: Cascade, rank: str) -> set[str]:
    factors = {e.name: e.factors for e in cascade.extents}
    return {rank, *factors.get(rank, ())}


def _extent(cascade: Cascade, rank: str, extents: Mapping[str, int]) -> int:
    return int(extent_of(cascade, rank).evaluate(extents))


def _words(cascade: Cascade, tensor: Tensor, extents: Mapping[str, int]) -> int:
    return int(words_of(cascade, tensor.ranks).evaluate(extents))


def _best(analysis: Analysis, work: _Instance, extents: Mapping[str, int], capacity: int) -> tuple[float, str]:
    """Return the least words and how they are attained."""

    def at(expression: Polynomial) -> int:
        return int(expression.evaluate(extents))

    live = analysis.live
    passes = at(analysis.passes[live.rank])
    state = at(live.carried + live.tile)
    spilled = sum(at(c.spill_words) for c in analysis.crossings) // work.count
    # name, words kept per row, times that the stream is read per block, words moved besides
    ways = [
        ("keep", at(live.words), 1, 0),
        ("spill", state, 1, spilled),
        ("stream again", state, passes, 0),
    ]
    options = [(inf, "nothing fits")]
    if capacity >= work.stream + work.row + at(live.words):
        options.append((work.stream + work.row * work.rows, "keep the stream"))
    for name, kept, times, more in ways:
        block = (capacity - work.step) // (work.row + kept)
        if block >= 1:
            blocks = -(-work.rows // block)
            options.append((blocks * work.stream * times + work.row * work.rows + more, name))
    words, way = min(options, key=lambda option: option[0])
    return work.count * words, way


def saha_ye_words(queries: int, keys: int, width: int, capacity: int) -> float:
    """Return the order of the words that any exact attention of one head moves, by Saha and Ye (2024).

    For n = `queries` = `keys`, d = `width` and a memory of C words it is n^2 d^2 / C where C >= d^2, and
    n^2 d / sqrt(C) below; constants are left out, so it is a slope to compare with and no count.

    >>> saha_ye_words(4096, 4096, 64, 1 << 14)
    4194304.0
    """
    if capacity >= width**2:
        return queries * keys * width**2 / capacity
    return queries * keys * width / sqrt(capacity)
