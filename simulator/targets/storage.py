"""What results and loaded tiles take of memories and registers, and what is left there for more of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import prod

from arch_specs.model import Compute, Memory
from einsum_cascades.ir import rank_of
from simulator.capacity import Occupancy
from simulator.layout import REGISTERS, Layout, Placed
from simulator.taskgraph import Task

__all__ = ["loaded_bytes", "result_bytes", "room_left"]

ZERO = Fraction(0)


def result_bytes(layout: Layout, placed: Placed, loops: tuple[tuple[str, int], ...]) -> dict[str, Fraction]:
    """Return the bytes of what an Einsum makes in one iteration of some loops, by the memory that keeps it.

    That is the innermost that the mapping names, or the registers of its part. What is more than all of that memory is
    handed on piece by piece, and held nowhere.
    """
    name = placed.einsum.name
    own = next(o for o in placed.operands if o.output)
    words = prod(layout.design.extents[rank_of(v)] for v in own.variables)
    tile = Fraction(words, prod(bound for v, bound in loops if v in own.variables))
    amount = tile * layout.design.workload.bytes_of(name)
    kept = [memory for memory in placed.keep if name in placed.keep[memory]]
    if not kept:
        file = f"{placed.part.name}.{REGISTERS}"
        return {file: amount} if amount <= _register_bytes(layout, placed.part) else {}
    memory = layout.design.architecture.part(max(kept, key=placed.nest.position))
    limit = memory.capacity_bytes if isinstance(memory, Memory) else None
    return {memory.name: amount} if limit is not None and amount <= limit else {}


def _register_bytes(layout: Layout, part: Compute) -> int:
    return (part.registers or 0) * part.lanes * layout.design.workload.word_bits // 8


def room_left(layout: Layout, held: Mapping[str, Occupancy], tasks: Iterable[Task]) -> dict[str, Fraction]:
    """Return the bytes that each limited memory and register file has left while the group runs in a serial order."""
    room = {
        memory.name: Fraction(memory.capacity_bytes)
        for memory in layout.design.architecture.memories
        if memory.capacity_bytes is not None
    }
    for memory, occupancy in held.items():
        room[memory] = Fraction(max(0, occupancy.capacity_bytes - occupancy.need_bytes))
        if occupancy.spill:
            del room[memory]  # what does not fit goes further out, and is charged there
    for part in layout.design.architecture.computes:
        file = f"{part.name}.{REGISTERS}"
        taken = sum((task.holds.get(file, ZERO) for task in tasks if task.holds), ZERO)
        room[file] = max(ZERO, _register_bytes(layout, part) - taken)
    return room


def loaded_bytes(placed: Placed, operand: str, memory: str, width: int) -> dict[str, Fraction]:
    """Return the bytes of the tile that a load brings into a memory; none where it goes to the lanes, word by word."""
    own = next(o for o in placed.operands if o.name == operand)
    inside = [m for m in placed.holders(operand) if placed.nest.position(m) > placed.nest.position(memory)]
    inner = min(inside, key=placed.nest.position)
    return {} if inner == REGISTERS else {inner: Fraction(placed.nest.tile(inner, own.variables) * width)}
