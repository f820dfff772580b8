"""Loop nests of a family of designs: the counting rule of `simulator.nest` with bounds that are terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from arch_specs.model import Compute
from einsum_cascades.ir import Einsum, rank_of
from simulator.kernels.structure import Family, Unsupported
from simulator.kernels.terms import (
    FALSE,
    ONE,
    Term,
    any_of,
    choose,
    constant,
    divides,
    less,
    maximum,
    minimum,
    negate,
    product,
)
from simulator.layout import REGISTERS, Placed, operands
from simulator.mapping import Nest
from simulator.nest import DATAPATH, BoundLevel, BoundLoop, BoundNest, count_accesses

__all__ = ["TermNest", "bound_of", "place_family"]


@dataclass(frozen=True)
class TermNest(BoundNest):
    """A nest whose bounds are terms; all but `deliveries` is the scalar rule itself."""

    def deliveries(self, memory: str, variables: frozenset[str]) -> int:
        """Return how many tiles of a tensor arrive at a level: a tile stays while only other ranks advance."""
        outside = self.levels[: self.position(memory)]
        loops = [loop for level in outside if not level.spatial for loop in level.loops]
        if memory == DATAPATH:
            return _as_int(product(bound_of(loop) for loop in loops))
        advances, arrived, repeated = FALSE, ONE, dict[Term, Term]()
        for loop in reversed(loops):
            if loop.variable in variables:
                arrived *= bound_of(loop)
                advances = any_of((advances, less(1, bound_of(loop))))
            else:
                # Loops over other ranks repeat only what a loop inside them moves on.
                repeated[advances] = repeated.get(advances, ONE) * bound_of(loop)
        return _as_int(arrived * product(choose(when, bounds, 1) for when, bounds in repeated.items()))


def bound_of(loop: BoundLoop) -> Term:
    """Return the bound of a loop as the term that it is."""
    return constant(cast(Any, loop.bound))


def _as_int(term: Term) -> int:
    """Return a term in the place of the whole number that it stands for."""
    return cast(int, term)


def place_family(family: Family) -> dict[str, Placed]:
    """Return every Einsum placed, as `lay_out` does, with counts that are terms; what must hold goes to the checks."""
    return {einsum.name: _place(family, einsum) for einsum in family.workload.cascade.extended}


def _place(family: Family, einsum: Einsum) -> Placed:
    part = family.architecture.part(family.binding.parts[einsum.name])
    if not isinstance(part, Compute):
        raise Unsupported(f"{part.name} does not compute")
    nest = family.mapping.nests.get(einsum.name) or family.mapping.nests.get(part.name)
    if nest is None:
        raise Unsupported(f"no nest for {einsum.name}")
    bound = _bind(family, einsum, part, nest)
    found = operands(family.workload.cascade, einsum)
    placed = Placed(einsum, part, bound, found, family.binding.keep.get(einsum.name, {}), {})
    counts = {
        (operand.name, memory): count
        for operand in found
        for memory, count in count_accesses(bound, operand, placed.holders(operand.name)).items()
    }
    return Placed(einsum, part, bound, found, placed.keep, counts)


def _bind(family: Family, einsum: Einsum, part: Compute, nest: Nest) -> TermNest:
    left = {v: family.extents[rank_of(v)] for v in einsum.variables}
    levels = []
    for level in nest:
        loops = []
        for loop in level.loops:
            if loop.variable not in left:
                continue
            whole = left[loop.variable]
            tile = minimum(family.tile(loop.tile), whole) if loop.tile != 1 else ONE
            rank = rank_of(loop.variable)
            text = _indivisible(einsum.name, loop.variable, rank)
            family.require(divides(tile, whole), text, tile, whole, family.extents[rank])
            loops.append(BoundLoop(loop.variable, _as_int(whole / tile), _as_int(tile)))
            left[loop.variable] = tile
        levels.append(BoundLevel(level.name, tuple(loops), level.spatial))
    rest = {v: tile for v, tile in left.items() if tile is not ONE}
    over = any_of(less(1, tile) for tile in rest.values())
    family.require(negate(over), _left_over(einsum.name, tuple(rest)), *rest.values())
    bound = TermNest((*levels, BoundLevel(REGISTERS, ())))
    _fit_spatial(family, einsum, part, bound)
    return bound


def _fit_spatial(family: Family, einsum: Einsum, part: Compute, nest: TermNest) -> None:
    loops = [loop for level in nest.levels if level.spatial for loop in level.loops]
    variables = [loop.variable for loop in loops]
    bounds = [bound_of(loop) for loop in loops]
    needed, lanes = product(bounds), family.lanes(part)
    text = _too_many_lanes(einsum.name, part.name, variables)
    family.require(negate(less(lanes, needed)), text, needed, lanes, *bounds)
    rows, cols = family.number(f"{part.name}.rows"), family.number(f"{part.name}.cols")
    for variable, bound in zip(variables, bounds, strict=True):
        text = _too_wide(einsum.name, part.name, variable)
        family.require(negate(less(maximum(rows, cols), bound)), text, bound, rows, cols)


def _indivisible(einsum: str, variable: str, rank: str) -> Callable[..., str]:
    return lambda tile, left, extent: (
        f"{einsum}: {variable} advances in tiles of {tile}, which do not divide {left} (extent {rank}={extent})"
    )


def _left_over(einsum: str, variables: tuple[str, ...]) -> Callable[..., str]:
    def text(*tiles: int) -> str:
        rest = [v for v, tile in zip(variables, tiles, strict=True) if tile > 1]
        return f"{einsum}: its nest has no innermost loop over {', '.join(rest)}"

    return text


def _too_many_lanes(einsum: str, part: str, variables: list[str]) -> Callable[..., str]:
    def text(needed: int, lanes: int, *bounds: int) -> str:
        names = " x ".join(f"{v}:{bound}" for v, bound in zip(variables, bounds, strict=True))
        return f"{einsum}: spatial {names} needs {needed} lanes; part {part} has {lanes}"

    return text


def _too_wide(einsum: str, part: str, variable: str) -> Callable[..., str]:
    return lambda bound, rows, cols: f"{einsum}: spatial {variable}:{bound} is wider than part {part} ({rows} x {cols})"
