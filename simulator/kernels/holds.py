"""What memories hold, for a family of designs: the rule of `simulator.capacity` with tiles that are terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from arch_specs.model import Memory
from einsum_cascades.ir import Cascade, rank_of
from simulator.kernels.nests import bound_of
from simulator.kernels.structure import Family, Unsupported
from simulator.kernels.terms import (
    ONE,
    ZERO,
    Term,
    all_of,
    choose,
    constant,
    equal,
    less,
    maximum,
    minimum,
    negate,
    product,
)
from simulator.layout import Placed
from simulator.mapping import Buffer
from simulator.nest import BoundLoop

__all__ = ["Groups", "Held", "hold_family"]

Groups = tuple[tuple[str, ...], ...]  # the Einsums of each fusion group
_MOST_STATES = 4096


@dataclass(frozen=True)
class Held:
    """The share of accesses to `spills` that goes past a memory because its group's tiles do not fit."""

    spill: Term
    spills: tuple[str, ...]


def hold_family(family: Family, placed: dict[str, Placed], groups: Groups) -> list[dict[str, Held]]:
    """Return, for each group, what spills from each memory; what must fit goes to the checks."""
    return [
        {m.name: held for m in family.architecture.memories if (held := _hold(family, placed, groups, members, m))}
        for members in groups
    ]


def _tensor(operand: str) -> str:
    return operand.rstrip("-")


def _hold(
    family: Family, placed: dict[str, Placed], groups: Groups, names: tuple[str, ...], memory: Memory
) -> Held | None:
    buffer = family.binding.buffers.get(memory.name, Buffer())
    if buffer.capacity_bytes is None and memory.capacity_bytes is None:
        return None
    fixed = buffer.capacity_bytes is not None
    capacity = constant(buffer.capacity_bytes or 0) if fixed else family.number(f"{memory.name}.capacity_bytes")
    members = [placed[name] for name in names]
    here = {_tensor(n) for p in members for n in p.keep.get(memory.name, ())}
    touched = {_tensor(o.name) for p in members for o in p.operands}
    words = {t: _live_tile(family, placed, groups, memory.name, t) for t in sorted(here)}
    for tensor in sorted(touched - here):
        if tensor in buffer.streamed:
            tiles = buffer.streamed[tensor].items()
            words[tensor] = product(minimum(family.tile(tile), family.extents[rank_of(v)]) for v, tile in tiles)
    held = {
        t: n * buffer.depth.get(t, 1) * family.workload.bytes_of(t)
        for t, n in words.items()
        if t not in buffer.uncounted
    }
    if not held:
        return None
    regions = [(t, held[t]) for t in held if not any(t in shared for shared in buffer.shared)]
    joint = [[t for t in shared if t in held] for shared in buffer.shared]
    regions += [("/".join(tensors), maximum(*(held[t] for t in tensors))) for tensors in joint if tensors]
    for name, size in regions:
        family.call(size, f"bytes of {name} in {memory.name}")
    need = family.call(sum((size for _, size in regions), ZERO), f"bytes in {memory.name}")
    if buffer.overflow != "spill":
        text = _too_large(family.mapping.name, memory.name, [name for name, _ in regions])
        family.require(negate(less(capacity, need)), text, need, capacity, *(size for _, size in regions))
        return Held(ZERO, ())
    return Held(family.call(maximum(0, 1 - capacity / need), f"spill from {memory.name}"), buffer.spills)


def _too_large(mapping: str, memory: str, names: list[str]) -> Callable[..., str]:
    def text(need: int, capacity: int, *sizes: int) -> str:
        ranked = sorted(zip(names, sizes, strict=True), key=lambda region: -region[1])
        largest = ", ".join(f"{name} {size:,}" for name, size in ranked[:3])
        return (
            f"mapping {mapping} needs {need:,} bytes of {memory}, which has {capacity:,} "
            f"(too much by {need - capacity:,}; largest: {largest})"
        )

    return text


def _iterative(cascade: Cascade, tensor: str) -> frozenset[str]:
    """Return the rank variables over which generations of a tensor overwrite each other."""
    return frozenset(
        index.single
        for einsum in cascade.extended
        if einsum.name == tensor
        for index in einsum.output.indices
        if index.single is not None and index.offset > 0
    )


def _live_tile(family: Family, placed: dict[str, Placed], groups: Groups, memory: str, tensor: str) -> Term:
    gone = _iterative(family.workload.cascade, tensor)
    touching = [
        (p, frozenset[str]().union(*found) - gone)
        for p in placed.values()
        if (found := [o.variables for o in p.operands if _tensor(o.name) == tensor])
    ]
    keepers = [(p, v) for p, v in touching if any(_tensor(n) == tensor for n in p.keep.get(memory, ()))]
    own = maximum(*(p.nest.tile(memory, v) for p, v in keepers)) if keepers else ZERO
    homes = {m for p, _ in touching for m, names in p.keep.items() if any(_tensor(n) == tensor for n in names)}
    if not keepers or any(_is_outside(keepers[0][0], home, memory) for home in homes):
        return own
    variables = keepers[0][1]
    whole = product(family.extents[rank_of(v)] for v in sorted(variables))
    if len({i for i, names in enumerate(groups) for p, _ in touching if p.einsum.name in names}) > 1:
        return maximum(own, whole)
    lists = dict.fromkeys(_outside(p, memory) for p, _ in touching if _has(p, memory))
    return maximum(own, whole / _Prefix(tuple(lists), variables).extent())


def _outside(placed: Placed, memory: str) -> tuple[BoundLoop, ...]:
    """Return the temporal loops outside a memory level that may have a bound above 1."""
    levels = placed.nest.levels[: placed.nest.position(memory)]
    loops = (loop for level in levels if not level.spatial for loop in level.loops)
    return tuple(BoundLoop(loop.variable, loop.bound) for loop in loops if bound_of(loop) is not ONE)


def _has(placed: Placed, memory: str) -> bool:
    return any(level.name == memory and not level.spatial for level in placed.nest.levels)


def _is_outside(placed: Placed, home: str, memory: str) -> bool:
    nest = placed.nest
    return _has(placed, home) and nest.position(home) < nest.position(memory)


@dataclass
class _Prefix:
    """The longest common prefix of lists of loops, where loops of bound 1 do not count and bounds are terms."""

    lists: tuple[tuple[BoundLoop, ...], ...]
    variables: frozenset[str]
    known: dict[tuple[tuple[int, ...], frozenset[int]], Term] = field(default_factory=dict)

    def extent(self) -> Term:
        """Return the product of the bounds of the prefix over `variables`."""
        return self._from((0,) * len(self.lists), frozenset())

    def _from(self, at: tuple[int, ...], real: frozenset[int]) -> Term:
        """Return the product from given places on; the loops at the places of `real` have a bound above 1."""
        if (at, real) not in self.known:
            if len(self.known) > _MOST_STATES:
                raise Unsupported("too many loops to compare")
            self.known[at, real] = self._compare(at, real)
        return self.known[at, real]

    def _compare(self, at: tuple[int, ...], real: frozenset[int]) -> Term:
        if any(place == len(loops) for place, loops in zip(at, self.lists, strict=True)):
            return ONE
        heads = [loops[place] for place, loops in zip(at, self.lists, strict=True)]
        factor = bound_of(heads[0]) if heads[0].variable in self.variables else ONE
        onward = tuple(place + 1 for place in at)
        if all((h.variable, h.bound) == (heads[0].variable, heads[0].bound) for h in heads):
            return factor * self._from(onward, frozenset())
        unsure = next((k for k in range(len(heads)) if k not in real), None)
        if unsure is not None:
            # Lists with the same head move on together.
            same = [k for k in range(len(heads)) if k not in real and heads[k].bound is heads[unsure].bound]
            past = tuple(place + (k in same) for k, place in enumerate(at))
            counts = less(1, bound_of(heads[unsure]))
            return choose(counts, self._from(at, real | frozenset(same)), self._from(past, real))
        if any(h.variable != heads[0].variable for h in heads):
            return ONE
        alike = all_of(equal(bound_of(h), bound_of(heads[0])) for h in heads[1:])
        return choose(alike, factor * self._from(onward, frozenset()), ONE)
