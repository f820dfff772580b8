"""A design: a workload on an architecture by a mapping and a binding, with every knob set."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from functools import cached_property

from arch_specs.model import Architecture, Compute
from einsum_cascades.diagnostics import MappingError, Problem, SpecError
from einsum_cascades.extents import resolve_extents
from simulator.mapping import Binding, Mapping, Tile
from simulator.workload import Workload

__all__ = ["Design"]


@dataclass(frozen=True)
class Design:
    """Everything that determines a cost; `choices` says how the knobs were found.

    `knobs` holds the value of each tile knob, `options` that of each other one (tensors joined by `+`, or `none`).
    """

    workload: Workload
    architecture: Architecture
    mapping: Mapping
    binding: Binding
    knobs: Dict[str, int] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    options: Dict[str, str] = field(default_factory=dict)

    @cached_property
    def extents(self) -> dict[str, int]:
        """Every extent of the cascade; inner extents come from the mapping's partition.

        Raises SpecError for a missing extent, MappingError for one that the partition does not divide.
        """
        given = self.workload.given
        if self.workload.open:
            names = ", ".join(self.workload.open)
            example = " ".join(f"{name}=..." for name in self.workload.open)
            raise SpecError(Problem(f"the workload leaves {names} open", hint=f"give {example}"))
        cascade = self.workload.cascade
        for extent in cascade.extents:
            for factor in extent.factors:
                if factor in given or factor not in self.mapping.partition:
                    continue
                tile = self.tile(self.mapping.partition[factor])
                whole = given.get(extent.name, tile)
                if whole % min(tile, whole):
                    raise MappingError(
                        f"extent {extent.name}={whole} does not divide into tiles of {factor}={tile}: "
                        f"choose a multiple of {tile}, or set {factor}"
                    )
                given[factor] = min(tile, whole)
        return resolve_extents(cascade, given)

    def tile(self, tile: Tile) -> int:
        """Return the value of a tile: a number, a knob, a given extent, or a number of the machine (`pe2d.cols`)."""
        if isinstance(tile, int):
            return tile
        for named in (self.knobs, self.workload.given):
            if tile in named:
                return named[tile]
        try:
            value = self.architecture.value(tile)
        except SpecError as error:
            raise MappingError(f"mapping {self.mapping.name}: tile '{tile}' has no value: {error}") from error
        if not isinstance(value, int):
            raise MappingError(f"mapping {self.mapping.name}: tile '{tile}' is {value}, not a whole number")
        return value

    def part(self, einsum: str) -> Compute:
        """Return the compute part that an Einsum is bound to; MappingError when it is none."""
        name = self.binding.parts.get(einsum)
        if name is None:
            raise MappingError(f"mapping {self.mapping.name} binds {einsum} to no part: name it under 'bind'")
        try:
            part = self.architecture.part(name)
        except SpecError as error:
            raise MappingError(f"mapping {self.mapping.name} binds {einsum} to '{name}': {error}") from error
        if not isinstance(part, Compute):
            raise MappingError(f"mapping {self.mapping.name} binds {einsum} to {name}, which does not compute")
        return part
