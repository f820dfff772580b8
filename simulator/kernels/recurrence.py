"""RecMII of a family of designs, and the longest chain that a run contains: `simulator.bounds` with terms.

The dependences of a family are one graph; only latencies, distances and firings vary. So RecMII is a maximum over the
cycles of that graph, and a chain is a sum of named latencies. Transfers take no part: they have no latency.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from simulator.kernels.structure import Unsupported
from simulator.kernels.terms import (
    ONE,
    ZERO,
    Term,
    all_of,
    any_of,
    choose,
    constant,
    divides,
    equal,
    floor,
    less,
    maximum,
    minimum,
    negate,
)

__all__ = ["Dependence", "Firing", "recur"]

_MOST_CYCLES = 64
_LONGEST_BURST = 4096  # as in simulator.bounds.lag


@dataclass(frozen=True)
class Firing:
    """The latency of a task in ticks, and when it fires: see `simulator.taskgraph.Task`."""

    latency: Term
    every: Term = ONE
    burst: Term = ONE
    turn: Term = ZERO
    stage: int = 0

    @property
    def period(self) -> Term:
        """The iterations after which the pattern repeats."""
        return self.every * self.burst

    def first(self) -> Term:
        """Return the iteration of the first firing."""
        return self.stage + self.turn * self.burst

    def last(self) -> Term:
        """Return the iteration of the last firing, less the iterations of the run."""
        return self.stage - self.period + (self.turn + 1) * self.burst - 1


@dataclass(frozen=True)
class Dependence:
    """An edge; `least` is the smallest distance that it can have, whatever the bounds of the loops."""

    source: str
    target: str
    delay: Term
    distance: Term = ZERO
    least: int = 0


@dataclass(frozen=True)
class _Way:
    """A way along dependences: its latency and distance, and of the tasks that it leaves what chains need.

    `through` is the longest chain of one iteration through any of them, `period` the longest pattern, `high` and `low`
    the range of stages; `certain` are the tasks that every such way passes.
    """

    latency: Term
    distance: Term
    through: Term = ZERO
    period: Term = ONE
    high: Term = ZERO
    low: Term = ZERO
    certain: frozenset[str] = frozenset()

    def then(self, other: _Way) -> _Way:
        """Return this way and another one after it."""
        return _Way(
            self.latency + other.latency,
            self.distance + other.distance,
            maximum(self.through, other.through),
            maximum(self.period, other.period),
            maximum(self.high, other.high),
            minimum(self.low, other.low),
            self.certain | other.certain,
        )

    def or_if(self, better: Term, other: _Way) -> _Way:
        """Return another way where it is better, else this one."""
        return _Way(
            choose(better, other.latency, self.latency),
            choose(better, other.distance, self.distance),
            choose(better, other.through, self.through),
            choose(better, other.period, self.period),
            choose(better, other.high, self.high),
            choose(better, other.low, self.low),
            self.certain & other.certain,
        )


def recur(firings: dict[str, Firing], edges: list[Dependence], iterations: Term) -> tuple[Term, Term]:
    """Return RecMII, and the longest chain that every run of some iterations contains, in ticks."""
    whole = _chains_of_one(firings, edges)
    longest = maximum(*whole.values())
    best = _Way(ZERO, ONE)
    for cycle in _cycles(firings, edges, whole):
        best = best.or_if(less(best.latency / best.distance, cycle.latency / cycle.distance), cycle)
    rec_mii = best.latency / best.distance
    if rec_mii is ZERO:
        return ZERO, longest
    full = iterations - (best.high - best.low) - best.period
    turns = floor(maximum(0, full) / best.distance)
    return rec_mii, maximum(longest, choose(less(0, rec_mii), turns * best.latency + best.through, 0))


def _sorted(names: Iterable[str], edges: list[Dependence]) -> list[str]:
    """Return tasks in an order in which every edge goes forward."""
    before = {n: [e.source for e in edges if e.target == n] for n in names}
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise Unsupported("tasks wait for each other") from error


def _chains_of_one(firings: dict[str, Firing], edges: list[Dependence]) -> dict[str, Term]:
    """Return, for each task, the longest chain of one iteration through it."""
    # An edge of distance D - 1 is one within an iteration where D is 1.
    now = [e for e in edges if not e.least]
    order = _sorted(firings, now)
    after = {n: [e for e in now if e.source == n] for n in firings}
    ahead = dict.fromkeys(firings, ZERO)
    behind = {n: firing.latency for n, firing in firings.items()}
    for node in order:
        for e in after[node]:
            source, target = firings[e.source].first(), firings[e.target].first()
            counts = all_of((equal(e.distance, ZERO), negate(less(target, source))))
            ahead[e.target] = maximum(ahead[e.target], choose(counts, ahead[node] + e.delay, ZERO))
    for node in reversed(order):
        for e in after[node]:
            source, target = firings[e.source].last(), firings[e.target].last()
            counts = all_of((equal(e.distance, ZERO), negate(less(target, source))))
            behind[node] = maximum(behind[node], choose(counts, behind[e.target] + e.delay, ZERO))
    return {n: ahead[n] + behind[n] for n in firings}


def _lag(firings: dict[str, Firing], edge: Dependence) -> Term:
    """Return the most iterations by which the firing that an edge waits for lies before its own distance."""
    source, target = firings[edge.source], firings[edge.target]
    most = source.period - source.burst
    if most is ZERO:
        return ZERO
    shift = target.stage - source.stage - edge.distance + target.turn * target.burst
    start = shift - ((source.turn + 1) * source.burst - 1)
    start -= floor(start / source.period) * source.period
    end = start + target.burst - 1
    # Of the places from start to end, around the period, the furthest back that is no more than the most.
    around = choose(less(end, source.period), 0, minimum(end - source.period, most))
    found = choose(less(most, start), around, minimum(end, most))
    irregular = any_of((negate(divides(source.period, target.period)), less(_LONGEST_BURST, target.burst)))
    return choose(irregular, most, found)


def _cycles(firings: dict[str, Firing], edges: list[Dependence], whole: dict[str, Term]) -> Iterator[_Way]:
    """Yield every cycle of the edges between iterations, joined by the longest ways within an iteration.

    What must pass a task twice is two cycles, of which one has no smaller ratio, and is left out.
    """
    steps = {e: _step(firings, e, whole) for e in edges}
    back = [e for e in edges if e.distance is not ZERO]
    within = [e for e in edges if e.distance is ZERO]
    order = _sorted(firings, within)
    ways = [_ways(e.target, order, within, steps) for e in back]
    found = 0

    def extend(path: list[int], so_far: _Way) -> Iterator[_Way]:
        for k, onward in enumerate(back):
            if k < path[0] or k in path[1:]:
                continue
            for way in ways[path[-1]].get(onward.source, {}).values():
                if way.certain & so_far.certain or (k != path[0] and onward.source in so_far.certain):
                    continue
                if k == path[0]:
                    if not sum(back[place].least for place in path):
                        raise Unsupported("tasks may wait for each other in one iteration")
                    yield so_far.then(way)
                elif onward.source not in way.certain:
                    yield from extend([*path, k], so_far.then(way).then(steps[onward]))

    for first, edge in enumerate(back):
        for cycle in extend([first], steps[edge]):
            found += 1
            if found > _MOST_CYCLES:
                raise Unsupported("too many cycles of dependences")
            yield cycle


def _step(firings: dict[str, Firing], edge: Dependence, whole: dict[str, Term]) -> _Way:
    """Return the way along one edge."""
    source = firings[edge.source]
    distance = edge.distance + _lag(firings, edge)
    stage = constant(source.stage)
    return _Way(edge.delay, distance, whole[edge.source], source.period, stage, stage, frozenset({edge.source}))


def _ways(
    start: str, order: list[str], within: list[Dependence], steps: dict[Dependence, _Way]
) -> dict[str, dict[Term, _Way]]:
    """Return the longest way within an iteration from a task to each that follows it, for each distance."""
    nothing = _Way(ZERO, ZERO, low=constant(10**6))
    far: dict[str, dict[Term, _Way]] = {start: {ZERO: nothing}}
    for node in order:
        for e in (e for e in within if e.source == node and node in far):
            known = far.setdefault(e.target, {})
            for way in far[node].values():
                new = way.then(steps[e])
                old = known.get(new.distance)
                known[new.distance] = new if old is None else old.or_if(less(old.latency, new.latency), new)
    return far
