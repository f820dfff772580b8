"""Words, cycles and bytes of a family of designs: what the lowering for spatial arrays gives to its tasks, as terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from arch_specs.model import Architecture, Compute, Memory
from simulator.actions import operations_on
from simulator.kernels.holds import Groups, Held
from simulator.kernels.nests import bound_of
from simulator.kernels.structure import Family, Unsupported
from simulator.kernels.terms import ZERO, Term, constant, product
from simulator.layout import Placed
from simulator.mapping import FusionGroup

__all__ = ["Flow", "Move"]


@dataclass(frozen=True)
class Move:
    """Bytes that an Einsum moves through a bandwidth over the whole run."""

    einsum: str
    port: str
    bytes: Term


@dataclass(frozen=True)
class Flow:
    """A family of designs with its Einsums placed and what spills known; everything that is counted on it."""

    family: Family
    placed: dict[str, Placed]
    groups: tuple[tuple[FusionGroup, tuple[str, ...]], ...]
    held: list[dict[str, Held]]

    @property
    def members(self) -> Groups:
        """The Einsums of each fusion group."""
        return tuple(names for _, names in self.groups)

    def loops(self, index: int) -> list[tuple[str, Term]]:
        """Return the loops that repeat a group: those of its first Einsum over the ranks that it iterates over."""
        group, names = self.groups[index]
        return [
            (loop.variable, bound_of(loop))
            for level in self.placed[names[0]].nest.levels
            if not level.spatial
            for loop in level.loops
            if loop.variable in group.iteration
        ]

    def every(self, index: int, einsum: str) -> Term:
        """Return k where an Einsum fires once in k iterations of its group."""
        variables = self.placed[einsum].einsum.variables
        return product(bound for variable, bound in self.loops(index) if variable not in variables)

    def cycles_per_point(self, placed: Placed) -> Term:
        """Return the cycles that a lane spends on one point, looked up on each machine."""
        name = placed.einsum.name
        fixed = self.family.binding.cycles_per_point.get(name)
        if fixed is not None:
            return constant(fixed)
        operations, part = operations_on(placed), placed.part.name
        if any(placed.part.cycles(operation) is None for operation in operations):
            raise Unsupported(f"{part} lacks an operation of {name}")

        def cycles(machine: Architecture) -> Fraction:
            return sum(
                (count * (_compute(machine, part).cycles(o) or Fraction(0)) for o, count in operations.items()),
                Fraction(0),
            )

        return self.family.look_up(
            part, f"cycles per point of {'+'.join(f'{n} {o}' for o, n in operations.items())}", cycles
        )

    def cycles(self, placed: Placed) -> Term:
        """Return the cycles for which an Einsum holds its part over the whole run."""
        cycles = bound_product(placed) * self.cycles_per_point(placed)
        return self.family.call(cycles, f"cycles of {placed.einsum.name}")

    def words_moved(self, index: int, placed: Placed, memory: str) -> dict[str, tuple[Term, Term]]:
        """Return the words read from and written to a memory for the inside, by operand, spills included."""
        moved = {}
        for operand in placed.operands:
            own = placed.counts.get((operand.name, memory))
            reads, writes = (constant(own.reads), constant(own.updates)) if own else (ZERO, ZERO)
            for inner in placed.holders(operand.name):
                held = self.held[index].get(inner)
                if inner == memory or held is None or operand.name.rstrip("-") not in held.spills:
                    continue
                inside = placed.counts[operand.name, inner]
                reads += held.spill * (inside.reads - reads)
                writes += held.spill * (inside.updates - writes)
            name = f"{operand.name} in {memory} for {placed.einsum.name}"
            self.family.call(reads, f"reads of {name}")
            self.family.call(writes, f"writes of {name}")
            if reads is not ZERO or writes is not ZERO:
                moved[operand.name] = (reads, writes)
        return moved

    def bytes_moved(self, *, outermost: bool) -> Term:
        """Return the bytes that cross the memories without a parent (`outermost`), or all others."""
        total = ZERO
        for memory in self.family.architecture.memories:
            if (memory.parent is None) != outermost:
                continue
            for index, names in enumerate(self.members):
                for placed in (self.placed[name] for name in names):
                    for operand, (reads, writes) in self.words_moved(index, placed, memory.name).items():
                        total += (reads + writes) * self.family.workload.bytes_of(operand.rstrip("-"))
        return total

    def ports(self, memory: Memory) -> dict[str, Term]:
        """Return the bandwidths of a memory in bytes per cycle, by name."""
        clock = self.family.number("clock_hz")
        found = {}
        for suffix, key in (("", "bandwidth"), (".read", "read"), (".write", "write")):
            if getattr(memory, f"{key}_bytes_per_s") is not None:
                found[memory.name + suffix] = self.family.number(f"{memory.name}.{key}_bytes_per_s") / clock
        charged = self.family.accounting.ports and memory.bandwidth_bytes_per_s is None
        if charged and memory.accesses_per_cycle and memory.access_bytes:
            per_access = self.family.number(f"{memory.name}.access_bytes")
            found[memory.name] = self.family.number(f"{memory.name}.accesses_per_cycle") * per_access
        return found

    def moves(self, index: int) -> Iterator[Move]:
        """Yield what the Einsums of a group move through each bandwidth."""
        for memory in self.family.architecture.memories:
            ports = self.ports(memory)
            for placed in (self.placed[name] for name in self.members[index]):
                outputs = {o.name for o in placed.operands if o.output}
                for operand, (reads, writes) in self.words_moved(index, placed, memory.name).items():
                    direction = f"{memory.name}.{'write' if operand in outputs else 'read'}"
                    port = direction if direction in ports else memory.name
                    if port not in ports:
                        continue
                    arrived = placed.counts.get((operand, memory.name))
                    fills = arrived.fills if arrived and memory.parent is not None else 0
                    width = self.family.workload.bytes_of(operand.rstrip("-"))
                    yield Move(placed.einsum.name, port, (reads + writes + fills) * width)


def bound_product(placed: Placed) -> Term:
    """Return the temporal steps of an Einsum."""
    return constant(placed.nest.cycles)


def _compute(machine: Architecture, name: str) -> Compute:
    part = machine.part(name)
    if not isinstance(part, Compute):
        raise Unsupported(f"{name} does not compute")
    return part
