"""Times for tasks, modulo an interval: every one of a small graph, back to back, or by iterative modulo scheduling.

Rau, "Iterative modulo scheduling", MICRO 1994. A graph is counted in whole parts of a tick.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, lcm

from simulator.bounds import rec_mii, resource_ticks
from simulator.taskgraph import TaskGraph

__all__ = ["Problem", "exhaustive", "held", "iterative", "packed"]

_BUDGET = 40


def held(graph: TaskGraph, name: str) -> dict[str, Fraction]:
    """Return the ticks for which a task holds its exclusive resources, averaged over iterations."""
    task = graph.task[name]
    exclusive = {r.name for r in graph.resources if r.discipline != "fluid"}
    return {n: ticks / task.every for n, ticks in task.occupancy.items() if n in exclusive and ticks}


@dataclass(frozen=True)
class Problem:
    """A graph in whole parts of a tick.

    `held` by task is (resource, parts); `edges` are (source, target, parts, distance).
    """

    held: tuple[tuple[tuple[int, int], ...], ...]
    latency: tuple[int, ...]
    servers: tuple[int, ...]
    edges: tuple[tuple[int, int, int, int], ...]
    order: tuple[int, ...]
    scale: int
    bound: Fraction

    @classmethod
    def of(cls, graph: TaskGraph) -> Problem:
        """Return the problem of ordering a graph; MappingError for tasks that wait for each other in one iteration."""
        place = {t.name: k for k, t in enumerate(graph.tasks)}
        number = {r.name: k for k, r in enumerate(graph.resources)}
        edges = [e for e in graph.edges if e.instance_offset == 0]
        holds = [held(graph, t.name) for t in graph.tasks]
        delays = {e: graph.delay(e) / graph.task[e.source].every for e in edges}
        amounts = [v for h in holds for v in h.values()] + list(delays.values())
        scale = min(1 << 16, lcm(*(a.denominator for a in amounts)) if amounts else 1)
        plain = replace(graph, tasks=tuple(replace(t, every=1, burst=1, turn=0) for t in graph.tasks))
        averaged = replace(plain, edges=tuple(replace(e, latency=delays[e]) for e in edges))
        recurrence, _ = rec_mii(averaged)
        exclusive = [r for r in graph.resources if r.discipline != "fluid"]
        bound = max([recurrence, *(resource_ticks(graph, r) for r in exclusive)])
        return cls(
            held=tuple(tuple((number[n], ceil(v * scale)) for n, v in h.items()) for h in holds),
            latency=tuple(
                ceil(max([t.latency / t.every, *h.values(), *(delays[e] for e in edges if e.source == t.name)]) * scale)
                for t, h in zip(graph.tasks, holds, strict=True)
            ),
            servers=tuple(int(r.capacity) if r.discipline != "fluid" else 0 for r in graph.resources),
            edges=tuple((place[e.source], place[e.target], ceil(delays[e] * scale), e.distance) for e in edges),
            order=tuple(_topological(graph, place)),
            scale=scale,
            bound=bound * scale,
        )

    def fits(self, task: int, at: int, interval: int, others: Sequence[tuple[int, int]]) -> bool:
        """Whether a task can start at a time, modulo the interval, beside others (task, time)."""
        for resource, parts in self.held[task]:
            if parts > interval * self.servers[resource]:
                return False
            spans = [(at, parts)]
            for other, start in others:
                spans += [(start, p) for r, p in self.held[other] if r == resource]
            if _most(spans, interval) > self.servers[resource]:
                return False
        return True


def _most(spans: Sequence[tuple[int, int]], interval: int) -> int:
    """Return how many spans (start, parts) overlap at most, modulo an interval."""
    most = 0
    for point, _ in spans:
        running = 0
        for start, parts in spans:
            whole, rest = divmod(parts, interval)
            running += whole + ((point - start) % interval < rest)
        most = max(most, running)
    return most


def _topological(graph: TaskGraph, place: dict[str, int]) -> list[int]:
    """Return the tasks so that each comes after what it waits for in its iteration; listed order otherwise."""
    depth = {t.name: 0 for t in graph.tasks}
    for _ in depth:
        for e in graph.edges:
            if e.distance == 0 and e.instance_offset == 0:
                depth[e.target] = max(depth[e.target], depth[e.source] + 1)
    return sorted(place.values(), key=lambda k: (depth[graph.tasks[k].name], k))


def _staged(problem: Problem, offsets: Sequence[int], interval: int) -> list[int] | None:
    """Return the earliest starts that are congruent to `offsets`, or None when a recurrence does not allow them.

    A task that holds nothing can start at any time.
    """
    start = [o if h else 0 for o, h in zip(offsets, problem.held, strict=True)]
    for _ in range(len(start) + 1):
        changed = False
        for a, b, w, d in problem.edges:
            least = start[a] + w - interval * d
            if least > start[b]:
                start[b] = least + ((offsets[b] - least) % interval if problem.held[b] else 0)
                changed = True
        if not changed:
            return start
    return None


def exhaustive(problem: Problem, interval: int) -> list[int] | None:
    """Return a schedule of an interval if there is any: every time of every task that holds something is tried."""
    busy = [k for k in problem.order if problem.held[k]]
    offsets = [0] * len(problem.held)
    for times in _placements(problem, interval, busy):
        for k, at in zip(busy, times, strict=True):
            offsets[k] = at
        found = _staged(problem, offsets, interval)
        if found is not None:
            return found
    return None


def _placements(problem: Problem, interval: int, tasks: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the times, modulo an interval, at which tasks do not collide; the first stands at 0."""
    chosen: list[tuple[int, int]] = []

    def place(index: int) -> Iterator[tuple[int, ...]]:
        if index == len(tasks):
            yield tuple(at for _, at in chosen)
            return
        for at in range(interval if index else 1):
            if problem.fits(tasks[index], at, interval, chosen):
                chosen.append((tasks[index], at))
                yield from place(index + 1)
                chosen.pop()

    return place(0)


def packed(problem: Problem, interval: int) -> list[int] | None:
    """Return a schedule in which each resource of one server works without a gap, in the order of dependences."""
    if any(len(h) > 1 for h in problem.held) or any(problem.servers[r] != 1 for h in problem.held for r, _ in h):
        return None
    early = _early(problem)
    offsets = [early[k] % interval for k in range(len(early))]
    for resource in range(len(problem.servers)):
        users = [k for k in problem.order if any(r == resource for r, _ in problem.held[k])]
        users.sort(key=lambda k: early[k])
        if sum(p for k in users for _, p in problem.held[k]) > interval:
            return None
        at = early[users[0]] if users else 0
        for k in users:
            offsets[k] = at % interval
            at += problem.held[k][0][1]
    return _staged(problem, offsets, interval)


def _early(problem: Problem) -> list[int]:
    """Return when each task of one iteration can start where resources take turns in the order of dependences."""
    early = [0 for _ in problem.held]
    free: dict[int, int] = {}
    for k in problem.order:
        into = [early[a] + w for a, b, w, d in problem.edges if b == k and d == 0]
        early[k] = max([0, *into, *(free.get(r, 0) for r, _ in problem.held[k])])
        for r, parts in problem.held[k]:
            free[r] = early[k] + parts
    return early


def iterative(problem: Problem, interval: int) -> list[int] | None:
    """Return a schedule by placing tasks, the highest first, and taking out those that are in the way (Rau, 1994)."""
    height = _heights(problem, interval)
    if height is None:
        return None
    start: dict[int, int] = {}
    last: dict[int, int] = {}
    for _ in range(_BUDGET * len(problem.held)):
        waiting = [k for k in range(len(problem.held)) if k not in start]
        if not waiting:
            lowest = min(start.values(), default=0)
            shift = -(lowest // interval) * interval
            return [start[k] + shift for k in range(len(problem.held))]
        k = max(waiting, key=lambda t: (height[t], -t))
        earliest = max([0, *(start[a] + w - interval * d for a, b, w, d in problem.edges if b == k and a in start)])
        others = list(start.items())
        ends = {earliest + (s + p - earliest) % interval for o, s in others for _, p in problem.held[o]}
        slots = sorted({earliest, *ends})
        at = next((s for s in slots if problem.fits(k, s, interval, others)), None)
        if at is None:
            at = max(earliest, last.get(k, -1) + 1)
        start[k] = last[k] = at
        for other in list(start):
            if other != k and not _compatible(problem, start, k, other, interval):
                del start[other]
    return None


def _compatible(problem: Problem, start: dict[int, int], k: int, other: int, interval: int) -> bool:
    """Whether two placed tasks neither collide nor break a dependence."""
    for a, b, w, d in problem.edges:
        if {a, b} == {k, other} and start[b] < start[a] + w - interval * d:
            return False
    rest = [(o, s) for o, s in start.items() if o != k]
    return problem.fits(k, start[k], interval, rest) or not _shares(problem, k, other)


def _shares(problem: Problem, a: int, b: int) -> bool:
    return bool({r for r, _ in problem.held[a]} & {r for r, _ in problem.held[b]})


def _heights(problem: Problem, interval: int) -> list[int] | None:
    """Return the longest chain that follows each task, stages taken off; None when a recurrence is longer."""
    height = [0 for _ in problem.held]
    for _ in range(len(height) + 1):
        changed = False
        for a, b, w, d in problem.edges:
            if height[b] + w - interval * d > height[a]:
                height[a] = height[b] + w - interval * d
                changed = True
        if not changed:
            return height
    return None
