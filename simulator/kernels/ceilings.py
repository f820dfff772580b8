"""The ceilings of a family of designs as terms: ResMII, RecMII over the dependence cycles, and the finite bound.

The dependences of a family are one graph; only latencies and distances vary. So RecMII is a maximum over the cycles of
that graph, and a chain is a sum of named latencies. Transfers take no part: they have no latency of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from einsum_cascades.ir import Access
from simulator.kernels.flows import Flow
from simulator.kernels.structure import Unsupported
from simulator.kernels.terms import (
    ONE,
    ZERO,
    Term,
    any_of,
    choose,
    constant,
    equal,
    floor,
    less,
    maximum,
    negate,
    product,
)
from simulator.layout import generation

__all__ = ["ABOVE", "Ceiling", "ceil_group", "largest"]

_MOST_CYCLES = 64
ABOVE = 1 + Fraction(1, 10**12)  # what is no more than this above another counts as equal: floats round


@dataclass(frozen=True)
class Ceiling:
    """The ceilings of one group in ticks of a whole run; `busy` holds the load of each resource."""

    iterations: Term
    busy: dict[str, Term]
    rec_mii: Term
    steady: Term
    finite: Term

    @property
    def latency(self) -> Term:
        """The estimate of the bound."""
        return maximum(self.steady, self.finite)


@dataclass(frozen=True)
class _Edge:
    """A dependence; `least` is the smallest distance that it can have, whatever the bounds of the loops."""

    source: str
    target: str
    delay: Term
    distance: Term = ZERO
    least: int = 0


@dataclass(frozen=True)
class _Cycle:
    """The largest latency around a cycle of dependences, its distance, and the longest chain through its tasks."""

    latency: Term
    distance: Term
    through: Term


def ceil_group(flow: Flow, index: int) -> Ceiling:
    """Return the ceilings of a fusion group; what its order of work needs goes to the checks."""
    group, names = flow.groups[index]
    loops = flow.loops(index)
    iterations = product(bound for _, bound in loops)
    busy: dict[str, Term] = {}
    latency, delay = {}, {}
    for name in names:
        placed = flow.placed[name]
        total, every = flow.cycles(placed), flow.every(index, name)
        busy[placed.part.name] = busy.get(placed.part.name, ZERO) + total
        drain = flow.family.tile(group.drain[name]) if name in group.drain else ZERO
        latency[name] = total * every / iterations + drain
        delay[name] = latency[name] / every
    order = [part.name for part in flow.family.architecture.computes if part.name in busy]
    ports = {port: rate for m in flow.family.architecture.memories for port, rate in flow.ports(m).items()}
    moved: dict[str, Term] = {}
    for move in flow.moves(index):
        moved[move.port] = moved.get(move.port, ZERO) + move.bytes / ports[move.port]
    loads = {name: busy[name] for name in order} | {port: moved[port] for port in ports if port in moved}
    edges = list(_edges(flow, index, loops, delay))
    nodes = [*names, *(f"join {k}" for k in range(len(group.phases) + 1))] if group.phases else list(names)
    rec_mii, chain = _recurrence(nodes, edges, delay, iterations)
    steady = maximum(*loads.values(), rec_mii * iterations)
    return Ceiling(iterations, loads, rec_mii, steady, maximum(chain, *loads.values()))


def _edges(flow: Flow, index: int, loops: list[tuple[str, Term]], delay: dict[str, Term]) -> Iterator[_Edge]:
    """Yield the data edges of the cascade inside a group, and the order edges of its phases."""
    group, names = flow.groups[index]
    for name in names:
        for access in flow.placed[name].einsum.accesses:
            if access.tensor in names:
                distance, least = _distance(flow, index, loops, name, access)
                yield _Edge(access.tensor, name, delay[access.tensor], distance, least)
    if not group.phases:
        return
    last = len(group.phases)
    yield _Edge(f"join {last}", "join 0", ZERO, ONE, 1)
    iterations = product(bound for _, bound in loops)
    for k, phase in enumerate(group.phases):
        chains: dict[str, list[str]] = {}
        for name in phase:
            chains.setdefault(flow.placed[name].part.name, []).append(name)
        for chain in chains.values():
            yield _Edge(f"join {k}", chain[0], ZERO)
            for a, b in pairwise(chain):
                yield _Edge(a, b, flow.cycles(flow.placed[a]) / iterations)
            yield from (_Edge(name, f"join {k + 1}", delay[name]) for name in chain)


def _distance(flow: Flow, index: int, loops: list[tuple[str, Term]], consumer: str, access: Access) -> tuple[Term, int]:
    """Return after how many iterations a consumer uses a result, stages included, and the least that can be."""
    group, _ = flow.groups[index]
    producer, reader = flow.placed[access.tensor].einsum, flow.placed[consumer].einsum
    for variable in (*producer.reduced, *(i.last.lower() for i in access.indices if i.last)):
        if variable in reader.variables:
            again = any_of(less(1, bound) for looped, bound in loops if looped == variable)
            flow.family.require(negate(again), _another_pass(consumer, producer.name, variable))
    generations = generation(flow.family.workload.cascade, access)
    distance = ZERO
    if generations:
        recurrent = next(i.single for i in producer.output.indices if i.single is not None and i.offset > 0)
        order = [variable for variable, _ in loops]
        if recurrent not in order:
            raise Unsupported(f"{recurrent} is not iterated over")
        last = len(order) - 1 - order[::-1].index(recurrent)
        distance = generations * product(bound for _, bound in loops[last + 1 :])
    shift = group.stage.get(consumer, 0) - group.stage.get(producer.name, 0)
    if generations + shift < 0:
        raise Unsupported("a consumer in an earlier stage than its producer")
    return distance + shift, generations + shift


def _another_pass(consumer: str, producer: str, variable: str) -> Callable[..., str]:
    return lambda: (
        f"{consumer} goes over {variable} again after {producer} has reduced it: that is another pass; "
        f"put them in different groups or take {variable} out of 'iteration'"
    )


def _recurrence(nodes: list[str], edges: list[_Edge], delay: dict[str, Term], iterations: Term) -> tuple[Term, Term]:
    """Return RecMII, and the longest chain that every run contains."""
    # An edge of distance D - 1 is one within an iteration where D is 1.
    now = [e for e in edges if not e.least]
    before = {n: [e.source for e in now if e.target == n] for n in nodes}
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise Unsupported("tasks wait for each other") from error
    after = {n: [e for e in now if e.source == n] for n in nodes}
    ahead = dict.fromkeys(nodes, ZERO)
    behind = {n: delay.get(n, ZERO) for n in nodes}
    for node in order:
        for e in after[node]:
            ahead[e.target] = maximum(ahead[e.target], _if_now(e, ahead[node] + e.delay))
    for node in reversed(order):
        behind[node] = maximum(behind[node], *(_if_now(e, behind[e.target] + e.delay) for e in after[node]))
    whole = {n: ahead[n] + behind[n] for n in nodes}
    longest = maximum(*(whole[n] for n in nodes))
    back = [e for e in edges if e.distance is not ZERO]
    after = {n: [e for e in edges if e.source == n and e.distance is ZERO] for n in nodes}
    best = _Cycle(ZERO, ONE, ZERO)
    for cycle in _cycles(back, order, after, whole):
        longer = less(best.latency / best.distance, cycle.latency / cycle.distance)
        best = _Cycle(
            choose(longer, cycle.latency, best.latency),
            choose(longer, cycle.distance, best.distance),
            choose(longer, cycle.through, best.through),
        )
    rec_mii = best.latency / best.distance
    if rec_mii is ZERO:
        return ZERO, longest
    turns = floor((iterations - 1) / best.distance)
    return rec_mii, maximum(longest, choose(less(0, rec_mii), turns * best.latency + best.through, 0))


def _if_now(edge: _Edge, length: Term) -> Term:
    """Return the length of a chain along an edge that is one within an iteration, else no length."""
    return choose(equal(edge.distance, ZERO), length, ZERO)


@dataclass(frozen=True)
class _Chain:
    """The longest way from one task to another within an iteration.

    `through` is the longest chain of the whole iteration through a task on it; `certain` are the tasks that every way
    between the two passes.
    """

    length: Term
    through: Term
    certain: frozenset[str]


def _cycles(
    back: list[_Edge], order: list[str], after: dict[str, list[_Edge]], whole: dict[str, Term]
) -> Iterator[_Cycle]:
    """Yield every cycle of the edges between iterations, joined by the longest chains within an iteration.

    What must pass a task twice is two cycles, of which one has no smaller ratio, and is left out.
    """
    chains = [_chains(e.target, order, after, whole) for e in back]
    follow = [[k for k, f in enumerate(back) if f.source in chain] for chain in chains]
    found = 0

    def extend(path: list[int], passed: frozenset[str]) -> Iterator[list[int]]:
        for k in follow[path[-1]]:
            certain = chains[path[-1]][back[k].source].certain
            if k < path[0] or k in path[1:] or certain & passed:
                continue
            if k == path[0]:
                yield path
            else:
                yield from extend([*path, k], passed | certain)

    for first in range(len(back)):
        for path in extend([first], frozenset()):
            found += 1
            if found > _MOST_CYCLES:
                raise Unsupported("too many cycles of dependences")
            if not sum(back[k].least for k in path):
                raise Unsupported("tasks may wait for each other in one iteration")
            latency, distance, through = ZERO, ZERO, ZERO
            for k, onward in zip(path, (*path[1:], path[0]), strict=True):
                chain = chains[k][back[onward].source]
                latency += back[k].delay + chain.length
                distance += back[k].distance
                through = maximum(through, chain.through)
            yield _Cycle(latency, distance, through)


def _chains(start: str, order: list[str], after: dict[str, list[_Edge]], whole: dict[str, Term]) -> dict[str, _Chain]:
    """Return the longest chain from a task to each that follows it."""
    far = {start: _Chain(ZERO, whole[start], frozenset({start}))}
    for node in order:
        if node not in far:
            continue
        here = far[node]
        for e in after[node]:
            length, through = here.length + e.delay, maximum(here.through, whole[e.target])
            certain = here.certain | {e.target}
            if e.target in far:
                old = far[e.target]
                longer = less(old.length, length)
                length, through = choose(longer, length, old.length), choose(longer, through, old.through)
                certain &= old.certain
            far[e.target] = _Chain(length, through, certain)
    return far


def largest(loads: dict[str, Term], names: list[str]) -> tuple[Term, Term]:
    """Return the place in `names` of the first of the largest loads, and that load.

    What is within rounding of another counts as equal to it.
    """
    best, code = ZERO, constant(names.index(next(iter(loads))))
    for name, load in loads.items():
        above = less(best * ABOVE, load)
        best, code = choose(above, load, best), choose(above, names.index(name), code)
    return code, best
