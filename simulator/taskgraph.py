"""The one form that every target lowers to: a periodic graph of tasks on resources.

    Program   = Group*                     groups run one after another
    Group     = TaskGraph, iterations      the graph is repeated; an edge may reach back some iterations
    TaskGraph = Resource* Task* Edge* Instances, tick

Amounts of time are in ticks of `tick_s` seconds. A task holds an exclusive resource for whole ticks; of a fluid one (a
bandwidth) it takes an amount of work, in the resource's own unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Literal

__all__ = [
    "Discipline",
    "Edge",
    "Group",
    "InstanceClass",
    "Instances",
    "Program",
    "Resource",
    "Scope",
    "Task",
    "TaskGraph",
]

Discipline = Literal["listed", "greedy", "fluid"]
Scope = Literal["instance", "unit", "chip"]


@dataclass(frozen=True, slots=True)
class Resource:
    """Anything with a rate: a compute array, a memory port, a link.

    `capacity` is the number of servers of an exclusive resource, or the work per tick of a fluid one (in `unit`).
    An exclusive resource serves its tasks in the order in which the graph lists them (`listed`) or oldest first
    (`greedy`); a fluid one is shared max-min fairly. `scope` says who shares it: one instance, the instances of a
    unit, or the whole chip.
    """

    name: str
    capacity: Fraction = Fraction(1)
    discipline: Discipline = "listed"
    scope: Scope = "unit"
    unit: str = "ticks"


@dataclass(frozen=True, slots=True)
class Task:
    """One Einsum, one transfer or one join, as it happens in an iteration.

    `occupancy` maps each resource that is held to ticks (exclusive) or work (fluid); `latency` is the ticks from the
    start until the result can be used, which is never before the fluid work is done; `caps` maps a fluid resource to
    the most work per tick that this task can take of it. `every` k means once in k iterations: the task fires in
    `burst` iterations in a row out of every k x `burst`, at the `turn` of the k (0 is the first). `stage` k means that
    it works on iteration i-k; `shared` means once per unit rather than per instance; `work` is the useful operations
    or bytes of one firing; `actions` maps countable hardware events of one firing to their number; `holds` maps the
    memory that keeps the result until its last use to the bytes of one result.
    """

    name: str
    occupancy: Mapping[str, Fraction]
    latency: Fraction
    work: Fraction = Fraction(0)
    every: int = 1
    stage: int = 0
    shared: bool = False
    einsum: str | None = None
    actions: Mapping[tuple[str, str], Fraction] | None = None
    burst: int = 1
    turn: int = 0
    caps: Mapping[str, Fraction] | None = None
    holds: Mapping[str, Fraction] | None = None

    @property
    def period(self) -> int:
        """The iterations after which the pattern of firings repeats."""
        return self.every * self.burst

    def firings(self, iterations: int) -> int:
        """Return how often the task fires in a number of iterations.

        >>> Task("AV", {}, Fraction(0), every=4, burst=2, turn=3).firings(15)
        3
        """
        whole, rest = divmod(iterations, self.period)
        return whole * self.burst + min(max(rest - self.turn * self.burst, 0), self.burst)

    def iteration(self, firing: int) -> int:
        """Return the iteration in which a firing (0 is the first) happens; stages aside.

        >>> Task("AV", {}, Fraction(0), every=4, burst=2, turn=3).iteration(2)
        14
        """
        return firing // self.burst * self.period + self.turn * self.burst + firing % self.burst


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` of iteration i waits for `source` of iteration i - `distance`, or its latest firing before that.

    `latency` is the ticks from the start of the source to the earliest start of the target; None stands for the
    source's own latency. `instance_offset` k reaches into the instance k places before: one that lives on the same
    unit for an `order` edge (ping-pong), any for the other kinds (merge of split parts). Where there is no such firing
    or instance, nothing is waited for.
    """

    source: str
    target: str
    distance: int = 0
    kind: Literal["data", "buffer", "order"] = "data"
    latency: Fraction | None = None
    instance_offset: int = 0


@dataclass(frozen=True, slots=True)
class InstanceClass:
    """`count` instances that run the same number of iterations."""

    count: int
    iterations: int


@dataclass(frozen=True, slots=True)
class Instances:
    """How instances meet units: `resident` live together on each of `units`; ties go to the lowest index."""

    classes: tuple[InstanceClass, ...]
    resident: int = 1
    units: int = 1
    dispatch: Literal["static", "dynamic", "longest_first"] = "static"

    @property
    def count(self) -> int:
        """The number of instances of all classes."""
        return sum(c.count for c in self.classes)


@dataclass(frozen=True)
class TaskGraph:
    """One iteration of a fusion group: tasks in listed order, resources, and edges within and across iterations.

    `room` maps a memory to the bytes that it has for results that are alive beside those of a serial order of work; a
    memory that is not there has no limit.
    """

    resources: tuple[Resource, ...]
    tasks: tuple[Task, ...]
    edges: tuple[Edge, ...]
    tick_s: float
    instances: Instances | None = None
    room: Mapping[str, Fraction] = field(default_factory=dict)

    @cached_property
    def task(self) -> dict[str, Task]:
        """The tasks by name."""
        return {t.name: t for t in self.tasks}

    @cached_property
    def resource(self) -> dict[str, Resource]:
        """The resources by name."""
        return {r.name: r for r in self.resources}

    def delay(self, edge: Edge) -> Fraction:
        """Return the ticks from the start of an edge's source to the earliest start of its target."""
        return self.task[edge.source].latency if edge.latency is None else edge.latency


@dataclass(frozen=True)
class Group:
    """A fusion group: a graph, how often it is repeated, and the loops that repeat it (rank variable, bound)."""

    graph: TaskGraph
    iterations: int
    loops: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Program:
    """Fusion groups in sequence: what a design does, whatever the machine."""

    groups: tuple[Group, ...]
