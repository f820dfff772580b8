"""A family of designs that differ in numbers only: one cascade, one binding, the same loops; numbers as parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from arch_specs.model import Architecture, Compute
from simulator.accounting import Accounting
from simulator.kernels.terms import Term, constant, divides, minimum, parameter, product
from simulator.mapping import Binding, Tile
from simulator.mapping import Mapping as LoopMapping
from simulator.workload import Workload

__all__ = ["Check", "Derived", "Family", "Unsupported"]


_LANES = ("rows", "cols")


class Unsupported(Exception):
    """What makes a family of designs more than a change of numbers; such designs go the scalar path one by one."""


@dataclass(frozen=True)
class Check:
    """What must hold for a design to work, and what is said of one for which it does not."""

    holds: Term
    text: Callable[..., str]
    numbers: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Derived:
    """A parameter that follows from a machine by a rule that is not made of terms (a table of RAMs, an expansion)."""

    name: str
    part: str
    compute: Callable[[Architecture], float]

    def depends_on(self, path: str) -> bool:
        """Say whether the number of a machine at a path can change it: what a lane costs, their count does not."""
        owner, _, name = path.rpartition(".")
        return path == "node_m" or (owner.split(".")[0] == self.part and not (owner == self.part and name in _LANES))


@dataclass
class Family:
    """The designs that one set of terms describes.

    `workload` and `architecture` are of any one of them; `tiles` names the tile knobs. `checks` are in the order in
    which the scalar path meets them. `derived` collects the parameters that are looked up outside the terms, `names`
    what terms are called where they are written out.
    """

    workload: Workload
    architecture: Architecture
    mapping: LoopMapping
    binding: Binding
    tiles: tuple[str, ...]
    accounting: Accounting
    checks: list[Check] = field(default_factory=list)
    derived: dict[str, Derived] = field(default_factory=dict)
    names: dict[Term, str] = field(default_factory=dict)
    extents: dict[str, Term] = field(init=False)

    def __post_init__(self) -> None:
        self.given = _given(self.workload)
        self.extents = self._extents()

    def require(self, holds: Term, text: Callable[..., str], *numbers: Term) -> None:
        """Add a check unless it always holds."""
        if holds.value is not True:
            self.checks.append(Check(holds, text, numbers))

    def call(self, term: Term, name: str) -> Term:
        """Give a term its name, and return it; of several names the first stays."""
        self.names.setdefault(term, name)
        return term

    def number(self, dotted: str) -> Term:
        """Return the parameter of a number of the machine; Unsupported where the machine has none there."""
        if self.architecture.value(dotted) is None:
            raise Unsupported(f"{dotted} has no value")
        return parameter(self.architecture.path(dotted))

    def look_up(self, part: str, what: str, compute: Callable[[Architecture], Any]) -> Term:
        """Return the parameter `part what`, which `compute` finds on each machine."""
        name = f"{part} {what}"
        self.derived.setdefault(name, Derived(name, part, lambda machine: float(compute(machine))))
        return parameter(name)

    def lanes(self, part: Compute) -> Term:
        """Return the number of processing elements of a part."""
        return self.number(f"{part.name}.rows") * self.number(f"{part.name}.cols")

    def tile(self, tile: Tile) -> Term:
        """Return the value of a tile, as `Design.tile` finds it."""
        if isinstance(tile, int):
            return constant(tile)
        if tile in self.tiles:
            return parameter(f"mapping.{tile}")
        if tile in self.given:
            return self.given[tile]
        if not isinstance(self.architecture.value(tile), int):
            raise Unsupported(f"tile {tile} is no whole number")
        return self.number(tile)

    def _extents(self) -> dict[str, Term]:
        """Return every extent, as `Design.extents` resolves them."""
        cascade, known = self.workload.cascade, dict(self.given)
        for extent in cascade.extents:
            for factor in extent.factors:
                if factor in known or factor not in self.mapping.partition:
                    continue
                tile = self.tile(self.mapping.partition[factor])
                whole = known.get(extent.name, tile)
                inner = minimum(tile, whole)
                self.require(divides(inner, whole), _indivisible_extent(extent.name, factor), whole, tile)
                known[factor] = inner
        changed = True
        while changed:
            changed = False
            for extent in cascade.extents:
                missing = [f for f in extent.factors if f not in known]
                if extent.name not in known and extent.factors and not missing:
                    known[extent.name] = product(known[f] for f in extent.factors)
                    changed = True
                elif extent.name in known and len(missing) == 1:
                    rest = product(known[f] for f in extent.factors if f in known)
                    text = _no_multiple(extent.name, missing[0])
                    self.require(divides(rest, known[extent.name]), text, known[extent.name], rest)
                    known[missing[0]] = known[extent.name] / rest
                    changed = True
        for extent in cascade.extents:
            if extent.factors and extent.name in self.given and all(f in self.given for f in extent.factors):
                raise Unsupported(f"extent {extent.name} and all its factors are given")
        if missing := [e.name for e in cascade.extents if e.name not in known]:
            raise Unsupported(f"extents {', '.join(missing)} are missing")
        return known


def _given(workload: Workload) -> dict[str, Term]:
    """Return the extents that are given as parameters; one that equals another is that other."""
    if workload.open:
        raise Unsupported("extents are open")
    found = {name: parameter(name) for name in workload.extents}
    return found | {n: found[of] for n, of in workload.equal.items() if n not in workload.extents and of in found}


def _indivisible_extent(name: str, factor: str) -> Callable[..., str]:
    return lambda whole, tile: (
        f"extent {name}={whole} does not divide into tiles of {factor}={tile}: "
        f"choose a multiple of {tile}, or set {factor}"
    )


def _no_multiple(name: str, factor: str) -> Callable[..., str]:
    return lambda whole, rest: f"extent {name}={whole} is not a multiple of {rest}, so {factor} is not whole"
