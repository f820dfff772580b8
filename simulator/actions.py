"""Countable hardware events of an Einsum: operations, words at each memory, words at registers; and their energy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from arch_specs.cost import access_cost, operation_energy, register_file
from arch_specs.model import Architecture, Compute, Memory
from simulator.accounting import Accounting
from simulator.capacity import Occupancy
from simulator.layout import REGISTERS, Layout, Placed
from simulator.nest import Counts, Operand, count_accesses

__all__ = ["Action", "action_energy", "count_actions", "is_buffer", "operations_on", "words_moved"]

ZERO = Fraction(0)
_WRAP = 2**64


@dataclass(frozen=True, slots=True)
class Action:
    """An event on a part: an operation, `read` or `write` (accesses), `register read` or `register write` (words)."""

    part: str
    event: str
    count: Fraction


def operations_on(placed: Placed) -> dict[str, int]:
    """Return the operation classes of one point, with a multiply whose products are summed as one `mac`."""
    operations = dict(placed.einsum.operations)
    if placed.part.operation("mac") is not None and "acc" in operations:
        fused = min(operations["acc"], operations.get("mul", 0))
        operations["mac"] = fused
        operations["acc"] -= fused
        operations["mul"] = operations.get("mul", 0) - fused
    return {name: count for name, count in operations.items() if count}


def words_moved(placed: Placed, memory: str, held: dict[str, Occupancy]) -> dict[str, tuple[Fraction, Fraction]]:
    """Return the words that an Einsum reads from and writes to `memory` for the inside, by operand, spills included.

    When a tensor spills from a memory further in, the missing share of its accesses there comes here instead, and
    only the rest of its tile is brought in.
    """
    moved = {}
    for operand in placed.operands:
        own = placed.counts.get((operand.name, memory))
        reads, writes = (Fraction(own.reads), Fraction(own.updates)) if own else (ZERO, ZERO)
        for inner in placed.holders(operand.name):
            spills = inner in held and operand.name.rstrip("-") in held[inner].spills
            if not spills or inner == memory:
                continue
            share, inside = held[inner].spill, placed.counts[operand.name, inner]
            reads = (1 - share) * reads + share * inside.reads
            writes = (1 - share) * writes + share * inside.updates
        if reads or writes:
            moved[operand.name] = (reads, writes)
    return moved


def count_actions(
    layout: Layout, placed: Placed, held: dict[str, Occupancy], accounting: Accounting
) -> Iterator[Action]:
    """Yield what one Einsum does over the whole run, part by part, as an accounting sees it."""
    uncharged = layout.design.binding.uncharged if accounting.uncharged else ()
    for name, count in operations_on(placed).items():
        if name not in uncharged:
            yield Action(placed.part.name, name, Fraction(placed.points * count))
    counts = _charged_counts(layout, placed, accounting)
    for memory in layout.design.architecture.memories:
        outermost = memory.parent is None
        if outermost:
            reads_writes = list(words_moved(placed, memory.name, held).items())
        else:
            own = {o: c for (o, m), c in counts.items() if m == memory.name}
            reads_writes = [(o, (Fraction(c.reads), Fraction(c.updates + c.fills))) for o, c in own.items()]
        for event, which in (("read", 0), ("write", 1)):
            total = sum((_accesses(layout, memory, o, words[which]) for o, words in reads_writes), ZERO)
            if total:
                yield Action(memory.name, event, total)
    files = 1 if accounting.registers_once else placed.nest.lanes
    at_registers = [c for (_, m), c in counts.items() if m == REGISTERS]
    yield Action(placed.part.name, "register read", Fraction(files * sum(c.reads for c in at_registers)))
    yield Action(placed.part.name, "register write", Fraction(files * sum(c.updates + c.fills for c in at_registers)))


def _accesses(layout: Layout, memory: Memory, operand: str, words: Fraction) -> Fraction:
    """Return words as accesses of a memory; a memory that says nothing of its access width counts words."""
    if memory.access_bytes is None:
        return words
    return words * layout.design.workload.bytes_of(operand.rstrip("-")) / memory.access_bytes


def _charged_counts(layout: Layout, placed: Placed, accounting: Accounting) -> dict[tuple[str, str], Counts]:
    """Return the word counts of an Einsum with the quirks of an accounting applied."""
    lost = layout.design.binding.lost_ranks.get(placed.einsum.name, {}) if accounting.lost_ranks else {}
    counts = dict(placed.counts)
    for operand in placed.operands:
        gone = frozenset(lost.get(operand.name, ()))
        if gone:
            lean = replace(operand, variables=operand.variables - gone)
            for memory, count in count_accesses(placed.nest, lean, placed.holders(operand.name)).items():
                counts[operand.name, memory] = count
        if accounting.counter_wrap and operand.output:
            for memory in placed.holders(operand.name):
                if memory != REGISTERS and is_buffer(layout.design.architecture, memory):
                    counts[operand.name, memory] = _wrap(placed, operand, memory, counts[operand.name, memory])
    return counts


def is_buffer(architecture: Architecture, memory: str) -> bool:
    """Say whether a memory lies directly inside the outermost one: where the reference tool's counter wraps."""
    part = architecture.part(memory)
    return part.parent is not None and architecture.part(part.parent).parent is None


def _wrap(placed: Placed, operand: Operand, memory: str, count: Counts) -> Counts:
    """Return counts of an output whose first writes are counted modulo 2**64 words of tile x tensor."""
    tile = placed.nest.tile(memory, operand.variables)
    first = count.updates - count.reads
    seen = (first * tile) % _WRAP // tile
    fills = count.fills + first - seen if count.fills else 0
    return Counts(count.updates - seen, count.updates, fills)


def action_energy(architecture: Architecture, action: Action) -> float | None:
    """Return the energy of an action in joules; None where the machine's specification does not give it."""
    part = architecture.part(action.part)
    count = float(action.count)
    if isinstance(part, Memory):
        cost = access_cost(architecture, part)
        return None if cost is None else count * (cost.read_j if action.event == "read" else cost.write_j)
    if action.event.startswith("register "):
        if part.registers is None:
            return 0.0
        file = register_file(part.registers)
        return count * (file.read_j if action.event == "register read" else file.write_j)
    energy = _class_energy(part, action.event)
    return None if energy is None else count * energy


def _class_energy(part: Compute, operation_class: str) -> float | None:
    """Return the joules of one operation of a class, by the operation of the part that carries it out."""
    for name in part.carriers(operation_class):
        return operation_energy(part, name)
    return None
