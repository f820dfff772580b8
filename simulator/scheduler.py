"""Software pipelining: an order of work per resource, with stages, that repeats every interval.

Modulo scheduling (Rau, "Iterative modulo scheduling", MICRO 1994): every task has a time within the interval and a
stage; no resource is asked for twice at the same time modulo the interval, and every dependence holds across stages. A
task that fires once in k iterations is planned with a k-th of its occupancy; the engine runs its real firings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from math import ceil

from simulator.live import overlap_bytes
from simulator.modulo import Problem, exhaustive, held, iterative, packed
from simulator.taskgraph import TaskGraph

__all__ = ["Schedule", "pipeline", "schedule"]

ZERO = Fraction(0)
# Up to this many tasks and parts of an interval, every schedule is looked at.
_TINY = (6, 24)


@dataclass(frozen=True)
class Schedule:
    """When each task starts: `start` in ticks from the begin of an iteration, modulo `interval` with stages on top.

    `bound` is max(ResMII, RecMII) of the plan; `proven` says that no shorter interval of whole parts of a tick exists.
    `alive` says how many results of each task are there at once at most, `overlap` how many bytes by memory that is
    beside those of a serial order; `tight` names the memory that had no room for them at an interval that was shorter.
    """

    interval: Fraction
    start: dict[str, Fraction]
    bound: Fraction
    proven: bool
    alive: dict[str, int] = field(default_factory=dict)
    overlap: dict[str, Fraction] = field(default_factory=dict)
    tight: str | None = None

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

        `graph` is the one that was scheduled. A result lives from the start of its task to the end of the last task
        that uses it; one that is used in k iterations, to the end of the last of them.
        """
        alive: dict[str, int] = {}
        for edge in graph.edges:
            if edge.kind == "data" and edge.instance_offset == 0 and self.interval:
                source, user = graph.task[edge.source], graph.task[edge.target]
                until = self.start[edge.target] + max([user.latency, *held(graph, user.name).values()])
                again = max(0, source.every - user.every) if source.burst == 1 else 0
                lifetime = until - self.start[edge.source] + self.interval * (edge.distance + again)
                between = self.interval * (source.every if source.burst == 1 else 1)
                alive[edge.source] = max(alive.get(edge.source, 1), ceil(lifetime / between))
        return alive


def schedule(graph: TaskGraph) -> Schedule:
    """Return a periodic schedule with the shortest interval found, in whole parts of a tick.

    Small graphs are searched exhaustively; where nothing else is found, tasks follow one another. An interval whose
    overlap the graph's memories have no `room` for is not taken. Raises MappingError for tasks that wait for each other
    in one iteration.

    >>> from simulator.taskgraph import Edge, Resource, Task
    >>> def task(name, ticks, latency):
    ...     return Task(name, {"pe": Fraction(ticks)}, Fraction(latency))
    >>> edges = (Edge("A", "B"), Edge("B", "A", distance=1))
    >>> found = schedule(TaskGraph((Resource("pe"),), (task("A", 1, 2), task("B", 1, 2), task("C", 2, 2)), edges, 1e-9))
    >>> found.interval, found.bound, found.proven
    (Fraction(5, 1), Fraction(4, 1), True)
    """
    problem = Problem.of(graph)
    lowest = max(1, ceil(problem.bound))
    last = _serial(graph, problem)
    serial = int(last.interval * problem.scale)
    proven, tight = True, None
    for interval in _intervals(lowest, serial):
        tiny = len(graph.tasks) <= _TINY[0] and interval <= _TINY[1]
        found = exhaustive(problem, interval) if tiny else packed(problem, interval) or iterative(problem, interval)
        if found is not None:
            start = {t.name: Fraction(s, problem.scale) for t, s in zip(graph.tasks, found, strict=True)}
            proven = proven or interval == lowest
            plan = Schedule(Fraction(interval, problem.scale), start, problem.bound / problem.scale, proven)
            alive = plan.copies(graph)
            overlap = overlap_bytes(graph, alive, last.alive) if graph.room else {}
            full = next((m for m, amount in overlap.items() if amount > graph.room.get(m, amount)), None)
            if full is None:
                return replace(plan, alive=alive, overlap=overlap, tight=tight)
            tight = full
            proven = False
        proven = proven and tiny
    return replace(last, tight=tight)


def _serial(graph: TaskGraph, problem: Problem) -> Schedule:
    """Return the schedule in which tasks follow one another."""
    start, at = {}, 0
    for k in problem.order:
        start[graph.tasks[k].name] = Fraction(at, problem.scale)
        at += problem.latency[k]
    interval = Fraction(max(at, ceil(problem.bound), 1), problem.scale)
    plan = Schedule(interval, start, problem.bound / problem.scale, False)
    return replace(plan, alive=plan.copies(graph))


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
