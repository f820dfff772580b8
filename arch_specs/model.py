"""What a machine is made of: frozen values in SI units, each number with its source.

The dataclasses are the schema of the YAML files: a field with metadata `unit` is written there under `key` (the
field without its unit) as a quantity of that unit, and a field without a default must be given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from einsum_cascades.diagnostics import Problem, SpecError, suggest

__all__ = ["ALTERNATIVES", "Architecture", "Compute", "Memory", "Operation", "Part", "quantity"]

# Which operations of a part can carry out an operation class of a cascade, in order of preference.
ALTERNATIVES: dict[str, tuple[str, ...]] = {
    "mul": ("mul", "mac"),
    "acc": ("acc", "add", "mac"),
    "add": ("add", "mac"),
    "sub": ("sub", "add", "mac"),
    "min": ("min", "max"),
}


def quantity(unit: str, key: str, *, default: Any = dataclasses.MISSING) -> Any:
    """Declare a dataclass field that YAML writes under `key` as a quantity of `unit` (`bytes`, `hz`, ...)."""
    metadata = {"unit": unit, "key": key}
    if default is dataclasses.MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Operation:
    """What one lane does for one operation: `cycles` of issue, or an expansion into other operations (`as`)."""

    name: str
    cycles: Fraction | None = quantity("cycles", "cycles", default=None)
    energy_j: float | None = quantity("j", "energy", default=None)
    expands: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """A store: `capacity_bytes` None is unlimited; bandwidth None is unlimited.

    `bandwidth_bytes_per_s` is shared by reads and writes; `read_bytes_per_s` and `write_bytes_per_s` are separate.
    """

    name: str
    parent: str | None = None
    capacity_bytes: int | None = quantity("bytes", "capacity", default=None)
    bandwidth_bytes_per_s: float | None = quantity("bytes_per_s", "bandwidth", default=None)
    read_bytes_per_s: float | None = quantity("bytes_per_s", "read", default=None)
    write_bytes_per_s: float | None = quantity("bytes_per_s", "write", default=None)


@dataclass(frozen=True, slots=True)
class Compute:
    """An array of `rows` x `cols` equal lanes and the operations that each lane has."""

    name: str
    rows: int
    cols: int = 1
    parent: str | None = None
    ops: tuple[Operation, ...] = ()

    @property
    def lanes(self) -> int:
        """The number of processing elements."""
        return self.rows * self.cols

    def operation(self, name: str) -> Operation | None:
        """Return the part's own operation called `name`, or None."""
        return next((op for op in self.ops if op.name == name), None)

    def cycles(self, operation_class: str) -> Fraction | None:
        """Return the cycles that a lane spends on one operation of a class, or None where it lacks it.

        >>> ops = (Operation("mac", Fraction(1)), Operation("exp", expands=(("mac", 6),)))
        >>> Compute("pe", 4, ops=ops).cycles("exp")
        Fraction(6, 1)
        """
        for name in ALTERNATIVES.get(operation_class, (operation_class,)):
            op = self.operation(name)
            if op is None:
                continue
            if not op.expands:
                return op.cycles
            parts = [(self.cycles(inner), count) for inner, count in op.expands]
            if all(cycles is not None for cycles, _ in parts):
                return sum((cycles * count for cycles, count in parts if cycles is not None), Fraction(0))
        return None


Part = Memory | Compute


@dataclass(frozen=True)
class Architecture:
    """A machine: its clock, its parts, and for each number (dotted field) the source it was read from."""

    name: str
    clock_hz: float = quantity("hz", "clock")
    parts: tuple[Part, ...] = ()
    summary: str = ""
    mapping: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The memories, in the order of the file."""
        return tuple(p for p in self.parts if isinstance(p, Memory))

    @property
    def computes(self) -> tuple[Compute, ...]:
        """The compute parts, in the order of the file."""
        return tuple(p for p in self.parts if isinstance(p, Compute))

    def part(self, name: str) -> Part:
        """Return the part called `name`; SpecError with a suggestion when there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        names = [p.name for p in self.parts]
        raise SpecError(Problem(f"{self.name} has no part '{name}'", hint=suggest(name, names)))

    def value(self, dotted: str) -> Any:
        """Return the number at a dotted path: `pe2d.rows`, `L3.capacity_bytes` or `L3.capacity`, `clock`."""
        owner, name = self._locate(dotted)
        return getattr(owner, name)

    def replace(self, dotted: str, value: Any) -> Architecture:
        """Return this machine with one number changed; SpecError when there is no such number.

        >>> chip = Architecture("a", 1e9, (Compute("pe2d", 256, 256),))
        >>> chip.replace("pe2d.rows", 128).value("pe2d.rows")
        128
        """
        owner, name = self._locate(dotted)
        if owner is self:
            return dataclasses.replace(self, **{name: value})  # type: ignore[no-any-return]
        changed = dataclasses.replace(owner, **{name: value})
        parts = tuple(changed if p is owner else p for p in self.parts)
        return dataclasses.replace(self, parts=parts)

    def _locate(self, dotted: str) -> tuple[Any, str]:
        head, _, tail = dotted.rpartition(".")
        owner: Any = self.part(head) if head else self
        settable = {
            spelling: f.name
            for f in dataclasses.fields(owner)
            if "unit" in f.metadata or f.name in ("rows", "cols")
            for spelling in (f.name, f.metadata.get("key", f.name))
        }
        if tail not in settable:
            where = head or self.name
            raise SpecError(Problem(f"{where} has no number '{tail}'", hint=suggest(tail, settable)))
        return owner, settable[tail]
