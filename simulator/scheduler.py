"""Software pipelining: an order of work per resource, with stages, that repeats every interval.

Modulo scheduling (Rau, "Iterative modulo scheduling", MICRO 1994): every task has a time within the interval and a
stage; no resource is asked for twice at the same time modulo the interval, and every dependence holds across stages. A
task that fires once in k iterations is planned with a k-th of its occupancy; the engine runs its real firings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil, lcm

from simulator.bounds import rec_mii, resource_ticks
from simulator.taskgraph import TaskGraph

__all__ = ["Schedule", "pipeline", "schedule"]

ZERO = Fraction(0)
# Up to this many tasks and parts of an interval, every schedule is looked at.
_TINY = (6, 24)
_BUDGET = 40


@dataclass(frozen=True)
class Schedule:
    """When each task starts: `start` in ticks from the begin of an iteration, modulo `interval` with stages on top.

    `bound` is max(ResMII, RecMII) of the plan; `proven` says that no shorter interval of whole parts of a tick exists.
    """

    interval: Fraction
    start: dict[str, Fraction]
    bound: Fraction
    proven: bool

    @property
    def gap(self) -> Fraction:
        """The ticks by which the interval misses the bound."""
        return self.interval - self.bound

    @cached_property
    def stage(self) -> dict[str, int]:
        """The interval after its iteration's begin in which each task starts."""
        return {name: int(ticks // self.interval) for name, ticks in self.start.items()}

    def copies(self, graph: TaskGraph) -> dict[str, int]:
        """Return, for each task whose result is used, how many of its results are alive at once at most.

        A result lives from the start of its task to the end of the last task that uses it.
        """
        alive: dict[str, int] = {}
        for edge in graph.edges:
            if edge.kind == "data" and edge.instance_offset == 0 and self.interval:
                user = graph.task[edge.target]
                until = self.start[edge.target] + max([user.latency, *_held(graph, user.name).values()])
                lifetime = until - self.start[edge.source] + self.interval * edge.distance
                alive[edge.source] = max(alive.get(edge.source, 1), ceil(lifetime / self.interval))
        return alive


def schedule(graph: TaskGraph) -> Schedule:
    """Return a periodic schedule with the shortest interval found, in whole parts of a tick.

    Small graphs are searched exhaustively; where nothing else is found, tasks follow one another. Raises
    MappingError for tasks that wait for each other in one iteration.

    >>> from simulator.taskgraph import Edge, Resource, Task
    >>> def task(name, ticks, latency):
    ...     return Task(name, {"pe": Fraction(ticks)}, Fraction(latency))
    >>> edges = (Edge("A", "B"), Edge("B", "A", distance=1))
    >>> found = schedule(TaskGraph((Resource("pe"),), (task("A", 1, 2), task("B", 1, 2), task("C", 2, 2)), edges, 1e-9))
    >>> found.interval, found.bound, found.proven
    (Fraction(5, 1), Fraction(4, 1), True)
    """
    problem = _Problem.of(graph)
    lowest = max(1, ceil(problem.bound))
    serial = sum(problem.latency)
    proven = True
    for interval in _intervals(lowest, max(lowest, serial)):
        tiny = len(graph.tasks) <= _TINY[0] and interval <= _TINY[1]
        found = _exhaustive(problem, interval) if tiny else _packed(problem, interval) or _iterative(problem, interval)
        if found is not None:
            start = {t.name: Fraction(s, problem.scale) for t, s in zip(graph.tasks, found, strict=True)}
            proven = proven or interval == lowest
            return Schedule(Fraction(interval, problem.scale), start, problem.bound / problem.scale, proven)
        proven = proven and tiny
    start, at = {}, 0
    for k in problem.order:
        start[graph.tasks[k].name] = Fraction(at, problem.scale)
        at += problem.latency[k]
    return Schedule(Fraction(max(at, lowest), problem.scale), start, problem.bound / problem.scale, False)


def pipeline(graph: TaskGraph, plan: Schedule) -> TaskGraph:
    """Return the graph in the order and with the stages of a schedule: what the engine runs as software pipelining.

    Tasks are listed by their time within the interval; an edge reaches back as many more iterations as its target is
    stages behind its source.
    """
    place = {t.name: k for k, t in enumerate(graph.tasks)}
    depth = _depths(graph, plan)
    order = sorted(graph.tasks, key=lambda t: (plan.start[t.name] % plan.interval, depth[t.name], place[t.name]))
    tasks = tuple(replace(t, stage=t.stage + plan.stage[t.name]) for t in order)
    edges = tuple(replace(e, distance=e.distance + plan.stage[e.target] - plan.stage[e.source]) for e in graph.edges)
    return replace(graph, tasks=tasks, edges=edges)


def _depths(graph: TaskGraph, plan: Schedule) -> dict[str, int]:
    """Return the length of the longest chain of edges without distance, stages included, that leads to each task."""
    depth = {t.name: 0 for t in graph.tasks}
    for _ in depth:
        for e in graph.edges:
            if e.distance + plan.stage[e.target] - plan.stage[e.source] == 0 and e.instance_offset == 0:
                depth[e.target] = max(depth[e.target], depth[e.source] + 1)
    return depth


def _intervals(lowest: int, highest: int) -> Iterator[int]:
    """Yield intervals to try: each of the first ones, then in growing steps."""
    interval = lowest
    while interval < highest:
        yield interval
        interval += 1 if interval - lowest < 32 else max(1, interval // 64)
    yield highest


def _held(graph: TaskGraph, name: str) -> dict[str, Fraction]:
    """Return the ticks for which a task holds its exclusive resources, averaged over iterations."""
    task = graph.task[name]
    exclusive = {r.name for r in graph.resources if r.discipline != "fluid"}
    return {n: ticks / task.every for n, ticks in task.occupancy.items() if n in exclusive and ticks}


@dataclass(frozen=True)
class _Problem:
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
    def of(cls, graph: TaskGraph) -> _Problem:
        place = {t.name: k for k, t in enumerate(graph.tasks)}
        number = {r.name: k for k, r in enumerate(graph.resources)}
        edges = [e for e in graph.edges if e.instance_offset == 0]
        held = [_held(graph, t.name) for t in graph.tasks]
        delays = {e: graph.delay(e) / graph.task[e.source].every for e in edges}
        amounts = [v for h in held for v in h.values()] + list(delays.values())
        scale = min(1 << 16, lcm(*(a.denominator for a in amounts)) if amounts else 1)
        plain = replace(graph, tasks=tuple(replace(t, every=1, burst=1, turn=0) for t in graph.tasks))
        averaged = replace(plain, edges=tuple(replace(e, latency=delays[e]) for e in edges))
        recurrence, _ = rec_mii(averaged)
        exclusive = [r for r in graph.resources if r.discipline != "fluid"]
        bound = max([recurrence, *(resource_ticks(graph, r) for r in exclusive)])
        return cls(
            held=tuple(tuple((number[n], ceil(v * scale)) for n, v in h.items()) for h in held),
            latency=tuple(
                ceil(max([t.latency / t.every, *h.values(), *(delays[e] for e in edges if e.source == t.name)]) * scale)
                for t, h in zip(graph.tasks, held, strict=True)
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


def _staged(problem: _Problem, offsets: Sequence[int], interval: int) -> list[int] | None:
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


def _exhaustive(problem: _Problem, interval: int) -> list[int] | None:
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


def _placements(problem: _Problem, interval: int, tasks: Sequence[int]) -> Iterator[tuple[int, ...]]:
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


def _packed(problem: _Problem, interval: int) -> list[int] | None:
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


def _early(problem: _Problem) -> list[int]:
    """Return when each task of one iteration can start where resources take turns in the order of dependences."""
    early = [0 for _ in problem.held]
    free: dict[int, int] = {}
    for k in problem.order:
        into = [early[a] + w for a, b, w, d in problem.edges if b == k and d == 0]
        early[k] = max([0, *into, *(free.get(r, 0) for r, _ in problem.held[k])])
        for r, parts in problem.held[k]:
            free[r] = early[k] + parts
    return early


def _iterative(problem: _Problem, interval: int) -> list[int] | None:
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


def _compatible(problem: _Problem, start: dict[int, int], k: int, other: int, interval: int) -> bool:
    """Whether two placed tasks neither collide nor break a dependence."""
    for a, b, w, d in problem.edges:
        if {a, b} == {k, other} and start[b] < start[a] + w - interval * d:
            return False
    rest = [(o, s) for o, s in start.items() if o != k]
    return problem.fits(k, start[k], interval, rest) or not _shares(problem, k, other)


def _shares(problem: _Problem, a: int, b: int) -> bool:
    return bool({r for r, _ in problem.held[a]} & {r for r, _ in problem.held[b]})


def _heights(problem: _Problem, interval: int) -> list[int] | None:
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
