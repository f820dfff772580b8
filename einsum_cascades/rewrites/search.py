"""The search over rewrites: every cascade that the moves reach within a budget, and the best of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from einsum_cascades.chains import magnitude
from einsum_cascades.equality import Equality
from einsum_cascades.equivalence.compare import compare_with_cascade
from einsum_cascades.ir import Cascade
from einsum_cascades.rewrites.canonical import canonical_key
from einsum_cascades.rewrites.moves import moves
from einsum_cascades.rewrites.objectives import Objectives, measure
from einsum_cascades.rewrites.rule import Refusal, Rewrite

__all__ = ["Found", "Rewriting", "rewrite"]


@dataclass(frozen=True)
class Found:
    """A cascade equal to the original: how it was reached, what it costs, how its equality was checked.

    `known` is the known cascade that it is but for the names of its tensors, if there is one.
    """

    cascade: Cascade
    steps: tuple[Rewrite, ...]
    objectives: Objectives
    check: Equality | None
    known: Cascade | None = None

    @property
    def written(self) -> Cascade:
        """The cascade with the names by which it is known, or with its own."""
        return self.known or self.cascade


@dataclass(frozen=True)
class Rewriting:
    """What a search found: the best, the cascades that none dominates, what was refused, and what was covered.

    `exhausted` says that no cascade reachable by the moves was left out; `rejected` counts those that failed their
    check, which none should.
    """

    original: Found
    best: Found
    pareto: tuple[Found, ...]
    refusals: tuple[Refusal, ...]
    visited: int
    exhausted: bool
    rejected: tuple[Rewrite, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def coverage(self) -> str:
        """What was looked at, in words."""
        end = "all that the moves reach" if self.exhausted else "the budget ended before all that the moves reach"
        return f"{self.visited} cascades visited and checked; {end}"


def rewrite(
    cascade: Cascade,
    extents: Mapping[str, int] | None = None,
    *,
    budget: int = 60,
    rounds: int = 4,
    known: Iterable[Cascade] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Rewriting:
    """Return equal cascades with fewer passes, found by rewriting `cascade`, each checked in `rounds` random shapes.

    `budget` bounds the cascades that are looked at; `extents` is where operations are compared. The best has the fewest
    passes, then is stable, then has the least live state and operations. What turns out to be one of the `known` but
    for names says so; none of them guides the search.

    >>> from einsum_cascades.parser import parse
    >>> c = parse('''cascade t
    ... extent K
    ... input A[K] B[K]
    ... output Z[]
    ... Y[] = A[k]
    ... C[k] = B[k] / Y[]
    ... Z[] = C[k] * A[k]''')
    >>> [f"{step.rule} {step.where}" for step in rewrite(c).best.steps]
    ['defer Z']
    """
    names = {canonical_key(c): c for c in known}
    start = Found(cascade, (), measure(cascade, cascade, extents, stable=True), None)
    queue: list[tuple[tuple[float, ...], int, Found]] = [(_order(start), 0, start)]
    seen = {canonical_key(cascade)}
    done: list[Found] = []
    refusals: dict[Refusal, None] = {}
    rejected: list[Rewrite] = []
    while queue and len(done) < budget:
        _, _, found = heapq.heappop(queue)
        done.append(found)
        say(f"{len(done)} cascades, {len(queue)} waiting")
        for trail in moves(found.cascade, _open_ranks(found.objectives)):
            refusals |= dict.fromkeys(r for r in trail.refusals if not r.trivial)
            if not trail.steps or (key := canonical_key(trail.cascade)) in seen:
                continue
            seen.add(key)
            check = compare_with_cascade(trail.cascade, cascade, rounds=rounds)
            if not check.equal:
                rejected.append(trail.steps[-1])
                continue
            steps = (*found.steps, *trail.steps)
            cost = measure(trail.cascade, cascade, extents, stable=all(s.stable for s in steps))
            made = Found(_named(trail.cascade, cascade, steps), steps, cost, check)
            if key in names and compare_with_cascade(names[key], cascade, rounds=rounds).equal:
                made = replace(made, known=names[key])
            heapq.heappush(queue, (_order(made), len(seen), made))
    return _result(start, done, refusals, rejected, exhausted=not queue)


def _result(
    start: Found, done: list[Found], refusals: Mapping[Refusal, None], rejected: list[Rewrite], *, exhausted: bool
) -> Rewriting:
    best = min(done, key=_rank)
    front = [f for f in done if not any(o.objectives.dominates(f.objectives) for o in done)]
    distinct: list[Found] = []
    for f in sorted(front, key=_rank):
        if all(o.objectives.vector(f.objectives) != f.objectives.vector(o.objectives) for o in distinct):
            distinct.append(f)
    reasons = dict(_reasons(best, refusals))
    return Rewriting(start, best, tuple(distinct), tuple(refusals), len(done), exhausted, tuple(rejected), reasons)


def _rank(found: Found) -> tuple[float, ...]:
    cost = found.objectives
    return cost.total_passes, float(not cost.stable), cost.live_words, sum(cost.operations.values()), len(found.steps)


def _order(found: Found) -> tuple[float, ...]:
    """Return the priority of a cascade in the queue: few passes first, then few steps."""
    return found.objectives.total_passes, len(found.steps), sum(found.objectives.operations.values())


def _open_ranks(cost: Objectives) -> tuple[str, ...]:
    """Return the ranks that need more than one pass."""
    return tuple(rank for rank, n in cost.passes.items() if magnitude(n) > 1)


def _named(cascade: Cascade, original: Cascade, steps: tuple[Rewrite, ...]) -> Cascade:
    """Return the cascade with a name and a doc of its own, which tells how it came about."""
    trace = "; ".join(f"{s.rule} {s.where}" for s in steps)
    doc = f"{original.name}, rewritten: {trace}."
    return replace(cascade, name=f"{original.name}_rewritten", doc=doc)


def _reasons(best: Found, refusals: Mapping[Refusal, None]) -> Iterator[tuple[str, str]]:
    """Yield, for each rank with more than one pass, why it is not fewer."""
    analysis = best.objectives.analysis
    for rank in _open_ranks(best.objectives):
        chain = analysis.witness[rank]
        last = analysis.cascade.einsum(chain[-1])
        kept = [i for i in last.output.indices if rank in _family(analysis.cascade, {v.upper() for v in i.variables})]
        known = [r.reason for r in refusals if r.where in (last.name, rank)]
        text = f"{' -> '.join(chain)}: each reads all of {rank} after the one before"
        if kept:
            text += f"; {last.name} is made for every coordinate of {rank} from what is known after all of it"
        for reason in known:
            text += f"; {reason}"
        yield rank, text


def _family(cascade: Cascade, ranks: set[str]) -> set[str]:
    return ranks | {e.name for e in cascade.extents if set(e.factors) & ranks}
