"""Ceilings of a periodic task graph: no schedule, however clever, is faster.

In steady state an iteration cannot take less than `ResMII`, the largest total occupancy of a resource over its
capacity, nor less than `RecMII`, the largest ratio of latency to distance around a cycle of dependences (Rau,
"Iterative modulo scheduling", MICRO 1994). A finite run cannot take less than the work of any resource, nor less than
its longest chain of dependences, nor less than its instances need on their units.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from operator import itemgetter

from einsum_cascades.diagnostics import MappingError
from simulator.taskgraph import Edge, Group, InstanceClass, Instances, Resource, TaskGraph

__all__ = ["GroupBound", "bound_group", "longest_paths", "rec_mii", "resource_ticks"]

ZERO = Fraction(0)


@dataclass(frozen=True)
class GroupBound:
    """The ceilings of one fusion group, in ticks; `steady` = iterations x max(ResMII, RecMII)."""

    res_mii: Fraction
    rec_mii: Fraction
    resource: str
    cycle: tuple[str, ...]
    per_resource: dict[str, Fraction]
    steady: Fraction
    finite: Fraction

    @property
    def interval(self) -> Fraction:
        """The least initiation interval, in ticks."""
        return max(self.res_mii, self.rec_mii)

    @property
    def latency(self) -> Fraction:
        """The estimate of the bound: iterations at the least interval, or the finite bound where that is longer."""
        return max(self.steady, self.finite)

    @property
    def bound_by(self) -> str:
        """The critical resource, or the critical cycle of dependences where that is longer."""
        if self.rec_mii > self.res_mii:
            return "dependences " + " -> ".join((*self.cycle, self.cycle[0]))
        return self.resource


def resource_ticks(graph: TaskGraph, resource: Resource) -> Fraction:
    """Return the average ticks per iteration for which one instance fills `resource`.

    >>> from simulator.taskgraph import Task
    >>> tasks = (Task("A", {"pe": Fraction(3)}, Fraction(3)), Task("B", {"pe": Fraction(8)}, Fraction(8), every=4))
    >>> pe = Resource("pe")
    >>> resource_ticks(TaskGraph((pe,), tasks, (), 1e-9), pe)
    Fraction(5, 1)
    """
    resident = graph.instances.resident if graph.instances else 1
    total = ZERO
    for task in graph.tasks:
        amount = task.occupancy.get(resource.name)
        if amount is not None:
            total += amount / (task.every * (resident if task.shared else 1))
    return total / resource.capacity


def rec_mii(graph: TaskGraph) -> tuple[Fraction, tuple[Edge, ...]]:
    """Return the maximum cycle ratio latency / distance of the dependences, and the edges of that cycle.

    Exact: starting from no bound, a cycle of positive length under (latency - ratio x distance) is sought and its own
    ratio taken, until there is none; each step ends at the ratio of a real cycle. Raises MappingError for a cycle
    within one iteration: such a graph can never start.

    >>> from simulator.taskgraph import Task
    >>> tasks = (Task("A", {}, Fraction(2)), Task("B", {}, Fraction(2)))
    >>> edges = (Edge("A", "B"), Edge("B", "A", distance=1))
    >>> rec_mii(TaskGraph((), tasks, edges, 1e-9))[0]
    Fraction(4, 1)
    """
    ratio = ZERO
    cycle: tuple[Edge, ...] = ()
    _refuse_deadlock(graph)
    while found := _positive_cycle(graph, ratio):
        cycle = tuple(found)
        ratio = _latency(graph, cycle) / sum(e.distance for e in cycle)
    return ratio, cycle


def _latency(graph: TaskGraph, edges: Iterable[Edge]) -> Fraction:
    return sum((graph.delay(e) for e in edges), ZERO)


def _refuse_deadlock(graph: TaskGraph) -> None:
    """Raise MappingError when tasks wait for each other at a distance of no, or a negative number of, iterations."""
    after = {t.name: [e.target for e in graph.edges if e.source == t.name and e.distance == 0] for t in graph.tasks}
    if backward := next((e for e in graph.edges if e.distance < 0), None):
        raise MappingError(f"{backward.target} needs {backward.source} of a later iteration: check the stages")
    try:
        tuple(TopologicalSorter(after).static_order())
    except CycleError as error:
        # The sorter was given successors for predecessors, so its cycle reads backwards.
        names = " -> ".join(reversed(error.args[1]))
        raise MappingError(f"the order of work cannot start: {names} wait for each other in one iteration") from error


def _positive_cycle(graph: TaskGraph, ratio: Fraction) -> list[Edge]:
    """Return the edges of a cycle whose latency exceeds `ratio` x its distance, or nothing (Bellman-Ford)."""
    edges = [(e, graph.delay(e) - ratio * e.distance) for e in graph.edges if e.instance_offset == 0]
    far = {t.name: ZERO for t in graph.tasks}
    came: dict[str, Edge] = {}
    changed = ""
    for _ in range(len(far) + 1):
        changed = ""
        for edge, weight in edges:
            if far[edge.source] + weight > far[edge.target]:
                far[edge.target] = far[edge.source] + weight
                came[edge.target] = edge
                changed = edge.target
        if not changed:
            return []
    for _ in range(len(far)):
        changed = came[changed].source
    cycle = [came[changed]]
    while cycle[-1].source != changed:
        cycle.append(came[cycle[-1].source])
    return cycle[::-1]


def longest_paths(graph: TaskGraph, *, forward: bool) -> dict[str, Fraction]:
    """Return, for each task, the longest chain within one iteration that ends at its start (or begins with it).

    With `forward` the ticks before its earliest start; else the ticks from its start to the end of all that follows.
    """
    edges = [e for e in graph.edges if e.distance == 0 and e.instance_offset == 0]
    far = {t.name: ZERO if forward else t.latency / t.every for t in graph.tasks}
    for _ in range(len(far)):
        before = dict(far)
        for e in edges:
            if forward:
                far[e.target] = max(far[e.target], far[e.source] + graph.delay(e))
            else:
                far[e.source] = max(far[e.source], far[e.target] + graph.delay(e))
        if far == before:
            break
    return far


def _chain(graph: TaskGraph, iterations: int, critical: tuple[Edge, ...]) -> Fraction:
    """Return a chain that every run of `iterations` contains: around the critical cycle, and in and out of it."""
    ahead, behind = longest_paths(graph, forward=True), longest_paths(graph, forward=False)
    longest = max((ahead[t] + behind[t] for t in ahead), default=ZERO)
    if not critical:
        return longest
    turns = (iterations - 1) // sum(e.distance for e in critical)
    through = max(ahead[e.source] + behind[e.source] for e in critical)
    return max(longest, turns * _latency(graph, critical) + through)


def bound_group(group: Group) -> GroupBound:
    """Return every ceiling of a fusion group: ResMII, RecMII, and the least time of the finite run."""
    graph = group.graph
    per_resource = {r.name: resource_ticks(graph, r) for r in graph.resources}
    interval, resource = max(((t, n) for n, t in per_resource.items()), key=itemgetter(0), default=(ZERO, "nothing"))
    recurrence, critical = rec_mii(graph)
    instances = graph.instances or Instances((InstanceClass(1, group.iterations),))
    slots = instances.resident * instances.units
    total = sum(c.count * c.iterations for c in instances.classes)
    servers = {"instance": slots, "unit": instances.units, "chip": 1}
    loads = (total * per_resource[r.name] / servers[r.scope] for r in graph.resources)
    own = {c: max(_chain(graph, c.iterations, critical), _alone(graph, c.iterations)) for c in instances.classes}
    waves = sum((own[c] * c.count for c in instances.classes), ZERO) / slots
    cycle = tuple(e.source for e in critical)
    steady = group.iterations * max(interval, recurrence)
    finite = max(waves, *own.values(), *loads)
    return GroupBound(interval, recurrence, resource, cycle, per_resource, steady, finite)


def _alone(graph: TaskGraph, iterations: int) -> Fraction:
    """Return the ticks that one instance needs for its own resources."""
    own = [r for r in graph.resources if r.scope == "instance"]
    return max((iterations * resource_ticks(graph, r) for r in own), default=ZERO)
