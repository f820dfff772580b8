"""What results that are alive at once need of registers and buffers, beyond what the work holds one tile at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from simulator.dataflow import bounded
from simulator.taskgraph import Edge, TaskGraph

__all__ = ["double_buffer", "overlap_bytes"]

ZERO = Fraction(0)


def overlap_bytes(graph: TaskGraph, copies: Mapping[str, int], serial: Mapping[str, int]) -> dict[str, Fraction]:
    """Return, by memory, the bytes of the results that an order of work keeps beyond those of a serial order.

    `copies` says how many results of each task are alive at once, `serial` how many are when tasks follow one another:
    for those the mapping has room.

    >>> from simulator.taskgraph import Task
    >>> made = Task("QK", {}, ZERO, holds={"pe2d.registers": Fraction(512)})
    >>> overlap_bytes(TaskGraph((), (made,), (), 1e-9), {"QK": 3}, {"QK": 1})
    {'pe2d.registers': Fraction(1024, 1)}
    """
    found: dict[str, Fraction] = {}
    for task in graph.tasks:
        more = copies.get(task.name, 1) - serial.get(task.name, 1)
        for memory, amount in (task.holds or {}).items():
            if more > 0:
                found[memory] = found.get(memory, ZERO) + more * amount
    return found


def double_buffer(graph: TaskGraph, edges: Iterable[Edge]) -> TaskGraph:
    """Return the graph with two buffers on each edge where its memory has room for a second, else with one.

    The least is doubled first; what is taken is gone from the graph's `room`, and no more held by its task.
    """
    edges = tuple(edges)
    names = sorted(dict.fromkeys(e.source for e in edges), key=lambda name: sum(_held(graph, name).values(), ZERO))
    room, twice = dict(graph.room), set[str]()
    for name in names:
        held = _held(graph, name)
        if all(amount <= room.get(memory, amount) for memory, amount in held.items()):
            twice.add(name)
            room |= {memory: room[memory] - amount for memory, amount in held.items() if memory in room}
    made = bounded(graph, (e for e in edges if e.source in twice), 2)
    made = bounded(made, (e for e in edges if e.source not in twice), 1)
    tasks = tuple(replace(t, holds=None) if t.name in names else t for t in graph.tasks)
    return replace(made, tasks=tasks, room=room)


def _held(graph: TaskGraph, name: str) -> Mapping[str, Fraction]:
    return graph.task[name].holds or {}
