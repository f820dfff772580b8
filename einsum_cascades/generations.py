"""In which order a cascade is computed: Einsums that need each other run together, generation by generation.

A step of the schedule is one Einsum, or a loop over a rank variable with a schedule inside. Loops are found as a
compiler distributes them: the strongly connected parts of the dependence graph are split by the dependences that a
loop carries, and what still hangs together is split by the next rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd

from einsum_cascades.ir import Cascade, Einsum

__all__ = ["Loop", "Step", "connected_parts", "cycle_without_rank", "find_stride", "schedule"]


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps repeated for each coordinate of `variable`, from the first to the last or `backward`."""

    variable: str
    backward: bool
    steps: tuple[Step, ...]


Step = Einsum | Loop


@dataclass(frozen=True, slots=True)
class _Edge:
    """`reader` needs `writer`; `distance` says how many generations earlier, by rank variable that both share."""

    writer: Einsum
    reader: Einsum
    distance: dict[str, int]


class _Endless(Exception):
    def __init__(self, part: Sequence[Einsum]) -> None:
        self.part = tuple(part)


def schedule(cascade: Cascade) -> tuple[Step, ...]:
    """Return the Einsums in an order in which each finds what it reads, with a loop for each iterative rank.

    Init lines come where they are written, before what reads them. Raises ValueError when Einsums need each other
    without an iterative rank; `verify` reports that to the user first.
    """
    try:
        return tuple(_distribute(cascade.einsums, _edges(cascade)))
    except _Endless as cycle:
        raise ValueError(f"no order for {', '.join(e.name for e in cycle.part)}") from None


def cycle_without_rank(cascade: Cascade) -> tuple[Einsum, ...]:
    """Return Einsums that need each other and that no iterative rank separates; empty when there are none."""
    try:
        schedule_edges = _edges(cascade)
        _distribute(cascade.einsums, schedule_edges)
    except _Endless as found:
        part = found.part
        path = [part[0]]
        while True:  # follow writers inside the part until one comes back
            reader = path[-1]
            writer = next(e.writer for e in schedule_edges if e.reader is reader and e.writer in part)
            if writer in path:
                return tuple(reversed(path[path.index(writer) :]))
            path.append(writer)
    return ()


def find_stride(cascade: Cascade) -> tuple[Einsum, int] | None:
    """Return an Einsum whose recurrence skips generations, and by how many it advances; None when none does."""
    edges = _edges(cascade)
    for part in connected_parts(cascade.extended, edges):
        inside = [e for e in edges if e.writer in part and e.reader in part]
        for variable in dict.fromkeys(v for e in inside for v in e.distance if e.distance[v]):
            step = _common_step(part, inside, variable)
            if step > 1:
                return part[0], step
    return None


def _common_step(part: Sequence[Einsum], edges: Sequence[_Edge], variable: str) -> int:
    """Return the greatest common divisor of the distances around all cycles of a connected part."""
    at = {id(part[0]): 0}
    queue = [part[0]]
    while queue:
        writer = queue.pop()
        for edge in edges:
            if edge.writer is writer and id(edge.reader) not in at:
                at[id(edge.reader)] = at[id(writer)] + edge.distance.get(variable, 0)
                queue.append(edge.reader)
    step = 0
    for edge in edges:
        step = gcd(step, at[id(edge.writer)] + edge.distance.get(variable, 0) - at[id(edge.reader)])
    return step


def _edges(cascade: Cascade) -> list[_Edge]:
    writers: dict[str, list[Einsum]] = {}
    for einsum in cascade.einsums:
        writers.setdefault(einsum.name, []).append(einsum)
    edges = []
    for reader in cascade.einsums:
        for access in reader.accesses:
            for writer in writers.get(access.tensor, ()):
                distance = {
                    out.single: out.offset - into.offset
                    for out, into in zip(writer.output.indices, access.indices, strict=False)
                    if out.single is not None and out.single == into.single
                }
                edges.append(_Edge(writer, reader, distance))
        if not reader.init:  # what a line starts is there before the line that continues it
            edges += [_Edge(w, reader, {}) for w in writers[reader.name] if w.init]
    return edges


def _distribute(einsums: Sequence[Einsum], edges: Sequence[_Edge]) -> list[Step]:
    steps: list[Step] = []
    for part in connected_parts(einsums, edges):
        inside = [e for e in edges if e.writer in part and e.reader in part]
        if inside:
            steps.append(_loop(part, inside))
        else:
            steps += part
    return steps


def _loop(part: Sequence[Einsum], edges: Sequence[_Edge]) -> Loop:
    """Return the loop that carries a cycle: over a variable that all share and along which all step one way."""
    shared = [v for v in part[0].output.variables if all(v in e.distance for e in edges)]
    for variable in shared:
        steps = [e.distance[variable] for e in edges]
        if not any(steps) or not (all(s >= 0 for s in steps) or all(s <= 0 for s in steps)):
            continue
        within = [e for e in edges if e.distance[variable] == 0]
        return Loop(variable, min(steps) < 0, tuple(_distribute(part, within)))
    raise _Endless(part)


def connected_parts(einsums: Iterable[Einsum], edges: Sequence[_Edge]) -> list[tuple[Einsum, ...]]:
    """Return the strongly connected parts, writers before readers, each in the order of the text (Tarjan, 1972)."""
    order = {id(e): number for number, e in enumerate(einsums)}
    below: dict[int, list[Einsum]] = {}
    nodes = dict(enumerate(einsums))
    for edge in edges:
        if id(edge.writer) in order and id(edge.reader) in order:
            below.setdefault(order[id(edge.reader)], []).append(edge.writer)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    parts: list[tuple[Einsum, ...]] = []

    def visit(node: int) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for writer in sorted({order[id(w)] for w in below.get(node, ())}):
            if writer not in index:
                visit(writer)
                low[node] = min(low[node], low[writer])
            elif writer in stack:
                low[node] = min(low[node], index[writer])
        if low[node] == index[node]:
            cut = stack.index(node)
            parts.append(tuple(nodes[n] for n in sorted(stack[cut:])))
            del stack[cut:]

    for node in nodes:
        if node not in index:
            visit(node)
    return parts
