"""The ceilings of a family of designs as terms: loads of resources, RecMII, and the finite bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from einsum_cascades.ir import Access
from simulator.kernels.flows import Flow
from simulator.kernels.recurrence import Dependence, Firing, recur
from simulator.kernels.structure import Unsupported
from simulator.kernels.terms import (
    FALSE,
    ONE,
    ZERO,
    Term,
    any_of,
    choose,
    constant,
    less,
    maximum,
    negate,
    product,
)
from simulator.layout import generation

__all__ = ["ABOVE", "Ceiling", "ceil_group", "largest"]

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


def ceil_group(flow: Flow, index: int) -> Ceiling:
    """Return the ceilings of a fusion group; what its order of work needs goes to the checks."""
    group, names = flow.groups[index]
    loops = flow.loops(index)
    iterations = product(bound for _, bound in loops)
    busy: dict[str, Term] = {}
    for name in names:
        placed = flow.placed[name]
        busy[placed.part.name] = busy.get(placed.part.name, ZERO) + flow.cycles(placed)
    order = [part.name for part in flow.family.architecture.computes if part.name in busy]
    ports = {port: rate for m in flow.family.architecture.memories for port, rate in flow.ports(m).items()}
    moved: dict[str, Term] = {}
    for move in flow.moves(index):
        moved[move.port] = moved.get(move.port, ZERO) + move.bytes / ports[move.port]
    call = flow.family.call
    call(iterations, f"iterations of group {index + 1}")
    loads = {name: busy[name] for name in order} | {port: moved[port] for port in ports if port in moved}
    firings = {name: _firing(flow, index, loops, name) for name in names}
    if group.phases:
        firings |= {f"join {k}": Firing(ZERO) for k in range(len(group.phases) + 1)}
    rec_mii, chain = recur(firings, list(_edges(flow, index, loops, firings)), iterations)
    for name, load in loads.items():
        call(load, f"load of {name} in group {index + 1}")
    call(rec_mii, f"RecMII of group {index + 1}")
    call(chain, f"chain of group {index + 1}")
    steady = maximum(*loads.values(), rec_mii * iterations)
    return Ceiling(iterations, loads, rec_mii, steady, maximum(chain, *loads.values()))


def _firing(flow: Flow, index: int, loops: list[tuple[str, Term]], name: str) -> Firing:
    """Return when an Einsum fires and how long a firing takes, as the lowering for spatial arrays has it."""
    group, names = flow.groups[index]
    placed, every = flow.placed[name], flow.every(index, name)
    variables = placed.einsum.variables
    lacks, burst = FALSE, ONE
    for variable, bound in reversed(loops):
        if variable in variables:
            burst *= choose(lacks, 1, bound)
        else:
            lacks = any_of((lacks, less(1, bound)))
    sources = [flow.placed[a.tensor].einsum for a in placed.einsum.accesses if a.tensor in names]
    first = {v for source in sources for v in source.variables} - set(variables)
    late = any_of(less(1, bound) for variable, bound in loops if variable in first)
    drain = flow.family.tile(group.drain[name]) if name in group.drain else ZERO
    return Firing(
        flow.cycles(placed) * every / product(bound for _, bound in loops) + drain,
        every,
        choose(less(1, every), burst, 1),
        choose(late, every - 1, 0),
        group.stage.get(name, 0),
    )


def _edges(flow: Flow, index: int, loops: list[tuple[str, Term]], firings: dict[str, Firing]) -> Iterator[Dependence]:
    """Yield the data edges of the cascade inside a group, and the order edges of its phases."""
    group, names = flow.groups[index]
    for name in names:
        for access in flow.placed[name].einsum.accesses:
            if access.tensor in names:
                distance, least = _distance(flow, index, loops, name, access)
                yield Dependence(access.tensor, name, firings[access.tensor].latency, distance, least)
    if not group.phases:
        return
    yield Dependence(f"join {len(group.phases)}", "join 0", ZERO, ONE, 1)
    iterations = product(bound for _, bound in loops)
    for k, phase in enumerate(group.phases):
        chains: dict[str, list[str]] = {}
        for name in phase:
            chains.setdefault(flow.placed[name].part.name, []).append(name)
        for chain in chains.values():
            yield Dependence(f"join {k}", chain[0], ZERO)
            for a, b in pairwise(chain):
                yield Dependence(a, b, flow.cycles(flow.placed[a]) * firings[a].every / iterations)
            yield from (Dependence(name, f"join {k + 1}", firings[name].latency) for name in chain)


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


def largest(loads: dict[str, Term], names: list[str]) -> tuple[Term, Term]:
    """Return the place in `names` of the first of the largest loads, and that load.

    What is within rounding of another counts as equal to it.
    """
    best, code = ZERO, constant(names.index(next(iter(loads))))
    for name, load in loads.items():
        above = less(best * ABOVE, load)
        best, code = choose(above, load, best), choose(above, names.index(name), code)
    return code, best
