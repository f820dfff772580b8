"""Transforms of a task graph: buffers of finite depth, and the same work without its barriers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from einsum_cascades.diagnostics import MappingError
from simulator.taskgraph import Edge, TaskGraph

__all__ = ["between_parts", "bounded", "transfers", "without_barriers"]


def transfers(graph: TaskGraph) -> tuple[Edge, ...]:
    """Return the data edges into and out of the tasks that use a fluid resource: loads and stores."""
    return tuple(e for e in _data(graph) if _fluid(graph, e.source) or _fluid(graph, e.target))


def between_parts(graph: TaskGraph) -> tuple[Edge, ...]:
    """Return the data edges from one exclusive resource to another."""
    found = []
    for e in _data(graph):
        source, target = set(graph.task[e.source].occupancy), set(graph.task[e.target].occupancy)
        if source and target and not source & target and not _fluid(graph, e.source) and not _fluid(graph, e.target):
            found.append(e)
    return tuple(found)


def bounded(graph: TaskGraph, edges: Iterable[Edge], depth: int) -> TaskGraph:
    """Return the graph with a buffer of `depth` results on each edge, beside those that its distance needs anyway.

    The source waits until the target has done with the result that it overwrites. A result that is used in k
    iterations is given free after the last of them. Raises MappingError where the stages leave no room for the depth.

    >>> from simulator.taskgraph import Resource, Task
    >>> tasks = tuple(Task(n, {n: Fraction(3)}, Fraction(3)) for n in ("load", "use"))
    >>> graph = TaskGraph((Resource("load"), Resource("use")), tasks, (Edge("load", "use"),), 1e-9)
    >>> bounded(graph, graph.edges, 2).edges[-1]  # doctest: +ELLIPSIS
    Edge(source='use', target='load', distance=2, kind='buffer', latency=Fraction(3, 1), instance_offset=0)
    """
    if depth < 1:
        raise MappingError(f"a buffer of depth {depth} holds nothing: 1 is the least")
    back = dict.fromkeys(_back(graph, e, depth) for e in edges)
    return replace(graph, edges=(*graph.edges, *back))


def _back(graph: TaskGraph, edge: Edge, depth: int) -> Edge:
    source, target = graph.task[edge.source], graph.task[edge.target]
    distance = (depth - 1) * (source.period if source.burst == 1 else 1) + 1 + source.stage - target.stage
    if distance < 0:
        raise MappingError(
            f"{target.name} works {target.stage - source.stage} iterations behind {source.name}: "
            f"a buffer of depth {depth} between them is too small"
        )
    held = [ticks for name, ticks in target.occupancy.items() if graph.resource[name].discipline != "fluid"]
    return Edge(target.name, source.name, distance, "buffer", max([Fraction(0), *held]))


def without_barriers(graph: TaskGraph) -> TaskGraph:
    """Return the graph without its order edges and joins: the same work in the same order, as soon as data allows."""
    edges = tuple(e for e in graph.edges if e.kind != "order")
    ends = {name for e in edges for name in (e.source, e.target)}
    tasks = tuple(t for t in graph.tasks if t.occupancy or t.latency or t.name in ends)
    return replace(graph, tasks=tasks, edges=edges)


def _data(graph: TaskGraph) -> tuple[Edge, ...]:
    return tuple(e for e in graph.edges if e.kind == "data" and e.instance_offset == 0)


def _fluid(graph: TaskGraph, name: str) -> bool:
    return any(graph.resource[n].discipline == "fluid" for n in graph.task[name].occupancy)
