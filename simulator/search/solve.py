"""One frame of a fusion group with one layer for each part: every binding and residence, scored as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Protocol

import numpy as np

from arch_specs.model import Compute
from simulator.layout import Placed
from simulator.search.nests import Frame, FusedGroup, Layer, place
from simulator.search.residency import Residence, Touch, residences
from simulator.search.setting import ENERGY, FIRST_RESOURCE, TRAFFIC, Setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = [
    "Bindings",
    "Bound",
    "Bounded",
    "Choice",
    "Corner",
    "Limit",
    "Scores",
    "Tables",
    "bind",
    "bound_binding",
    "score",
]

Bound = tuple[float, float, float]  # latency in ticks, energy in joules, traffic in bytes


class Limit(Protocol):
    """What a search knows of the best so far."""

    def ticks(self) -> float:
        """Return the ticks above which a part may not be busy."""

    def key(self, bound: Bound) -> tuple[float, ...]:
        """Return what is to be least."""


@dataclass(frozen=True)
class Corner:
    """A frame and a layer for each part: what is left to choose are bindings and residences."""

    group: FusedGroup
    frame: Frame
    layers: Mapping[str, Layer]


@dataclass(frozen=True)
class Choice:
    """A group with everything chosen."""

    corner: Corner
    placed: dict[str, Placed]
    residences: tuple[Residence, ...]


@dataclass(frozen=True)
class Scores:
    """One binding: latency in ticks (at the least), energy and traffic of the residences that fit; `total` is all."""

    latency: Array
    energy: Array
    traffic: Array
    which: NDArray[np.int64]
    total: int
    bounded: Bounded

    def choice(self, row: int) -> Choice:
        """Return what a row stands for."""
        inner = int(self.which[row])
        digits = []
        for ways in reversed(self.bounded.options):
            inner, digit = divmod(inner, len(ways))
            digits.append(ways[digit])
        return Choice(self.bounded.corner, self.bounded.placed, tuple(reversed(digits)))


class Tables:
    """Costs of parts of a corner that other corners share: Einsums on parts, and residences of tensors."""

    def __init__(self, setting: Setting, group: FusedGroup) -> None:
        self.setting = setting
        self.group = group
        self.tensors = _tensors(setting, group)
        self.in_place = in_place(setting, group)
        self.able = {name: setting.able(name) for name in group.members}
        self._placed: dict[tuple[Frame, str, str, Layer], Placed | None] = {}
        self._ways: dict[tuple[object, ...], list[Residence]] = {}

    def __getstate__(self) -> dict[str, object]:
        """Return what is kept of the tables: all but what can be made again."""
        return self.__dict__ | {"_placed": {}, "_ways": {}}

    def placed(self, frame: Frame, einsum: str, part: Compute, layer: Layer) -> Placed | None:
        """Return an Einsum on a part in a frame."""
        key = (frame, einsum, part.name, layer)
        if key not in self._placed:
            self._placed[key] = place(self.setting, self.group, frame, einsum, part, layer)
        return self._placed[key]

    def ways(self, corner: Corner, tensor: str, touching: tuple[Placed, ...]) -> list[Residence]:
        """Return the residences of a tensor, by where the Einsums that touch it are."""
        key = (corner.frame, tensor, *((p.einsum.name, p.part.name, corner.layers[p.part.name]) for p in touching))
        if key not in self._ways:
            crosses = self.tensors[tensor][1]
            self._ways[key] = residences(Touch(self.setting, self.group, tensor, touching, crosses))
        return self._ways[key]


def in_place(setting: Setting, group: FusedGroup) -> tuple[tuple[str, ...], ...]:
    """Return chains of tensors of a group of which each is made in place of the one before.

    That may be where an Einsum reads a tensor that only the group knows, element by element of what it makes, and no
    later Einsum reads it.
    """
    chains: list[tuple[str, ...]] = []
    tensors = _tensors(setting, group)
    for name in group.members:
        written = frozenset(setting.einsums[name].output.variables)
        chain: tuple[str, ...] = (name,)
        for operand in setting.operands[name]:
            members, crosses = tensors[operand.name.rstrip("-")]
            last = members[-1] == name and not operand.output and not crosses
            if last and operand.variables == written and not operand.name.endswith("-"):
                before = next((c for c in chains if c[-1] == operand.name), None)
                if before is not None:
                    chains.remove(before)
                    chain = (*before, name)
                    break
        chains.append(chain)
    return tuple(chain for chain in chains if len(chain) > 1)


def _tensors(setting: Setting, group: FusedGroup) -> dict[str, tuple[tuple[str, ...], bool]]:
    """Return, for each tensor that a group touches, the members that do, and whether it crosses the group's borders."""
    outputs = {t.name for t in setting.workload.cascade.outputs}
    touching: dict[str, list[str]] = {}
    for name in setting.einsums:
        for tensor in dict.fromkeys(o.name.rstrip("-") for o in setting.operands[name]):
            touching.setdefault(tensor, []).append(name)
    found = {}
    for tensor, names in touching.items():
        members = tuple(n for n in names if n in group.members)
        if members:
            crosses = tensor in outputs or tensor not in group.members or len(members) < len(names)
            found[tensor] = (members, crosses)
    return found


@dataclass(frozen=True)
class Bindings:
    """The bindings of a corner from position `start` on, the one with the least work first."""

    corner: Corner
    picked: tuple[tuple[dict[str, Placed], tuple[float, ...]], ...]
    start: int = 0

    @property
    def bound(self) -> Bound:
        """What none of them is below."""
        return _bound(self.picked[self.start][1])

    @property
    def rest(self) -> Bindings | None:
        """All but the first; None where there are no more."""
        return replace(self, start=self.start + 1) if self.start + 1 < len(self.picked) else None


@dataclass(frozen=True)
class Bounded:
    """One binding with the ways to keep each tensor, and what it costs at the least."""

    corner: Corner
    placed: dict[str, Placed]
    base: tuple[float, ...]
    options: tuple[list[Residence], ...]

    @property
    def bound(self) -> Bound:
        """The least of each cost that it can have."""
        columns = (map(min, zip(*(way.cost for way in ways), strict=True)) for ways in self.options)
        return _bound(tuple(sum(column) for column in zip(self.base, *columns, strict=True)))


def bind(tables: Tables, corner: Corner, limit: Limit) -> Bindings | None:
    """Return the bindings of a corner that keep no part busy for longer than `limit` allows; None where none does."""
    picked = sorted(_bindings(tables, corner, limit.ticks()), key=lambda found: limit.key(_bound(found[1])))
    return Bindings(corner, tuple(picked)) if picked else None


def bound_binding(tables: Tables, bindings: Bindings) -> Bounded | None:
    """Return the first of some bindings with what it can cost; None where some tensor has no place to be."""
    placed, base = bindings.picked[bindings.start]
    options = tuple(
        tables.ways(bindings.corner, tensor, tuple(placed[m] for m in members))
        for tensor, (members, _) in tables.tensors.items()
    )
    return Bounded(bindings.corner, placed, base, options) if all(options) else None


def score(tables: Tables, bounded: Bounded) -> Scores:
    """Return the sums of every combination of residences, those that do not fit left out.

    A tensor that is made in place of another shares its room: of a chain of such tensors the largest counts.
    """
    setting = tables.setting
    names = tuple(setting.capacities)
    chains = tables.in_place
    capacity = np.array([setting.capacities[name] for name in names])
    costs = np.array([bounded.base])
    held = np.zeros((1, 1 + len(chains), len(names)))
    which = np.zeros(1, dtype=np.int64)
    for tensor, ways in zip(tables.tensors, bounded.options, strict=True):
        more = np.array([way.cost for way in ways])
        there = np.array([[way.held.get(name, 0.0) for name in names] for way in ways])
        costs = (costs[:, None, :] + more[None, :, :]).reshape(-1, costs.shape[1])
        held = np.repeat(held, len(ways), axis=0)
        there = np.tile(there, (len(which), 1))
        chain = next((i for i, tensors in enumerate(chains, 1) if tensor in tensors), 0)
        held[:, chain] = np.maximum(held[:, chain], there) if chain else held[:, 0] + there
        which = (which[:, None] * len(ways) + np.arange(len(ways))[None, :]).reshape(-1)
        # What does not fit now never will, as nothing gives room back.
        fits = (held.sum(axis=1) <= capacity).all(axis=1)
        costs, held, which = costs[fits], held[fits], which[fits]
    total = prod(len(ways) for ways in bounded.options)
    latency = costs[:, FIRST_RESOURCE:].max(axis=1)
    return Scores(latency, costs[:, ENERGY], costs[:, TRAFFIC], which, total, bounded)


def _bound(cost: tuple[float, ...]) -> Bound:
    return max(cost[FIRST_RESOURCE:]), cost[ENERGY], cost[TRAFFIC]


def _bindings(
    tables: Tables, corner: Corner, limit_ticks: float
) -> Iterator[tuple[dict[str, Placed], tuple[float, ...]]]:
    """Yield each binding that keeps every part below the limit, with the cost of its operations."""
    setting = tables.setting
    choices = []
    for name in corner.group.members:
        places = [tables.placed(corner.frame, name, part, corner.layers[part.name]) for part in tables.able[name]]
        choices.append([(p, setting.work_cost(p)) for p in places if p is not None])
    for picked in _within(choices, limit_ticks, len(setting.resources)):
        cost = tuple(sum(column) for column in zip(*(c for _, c in picked), strict=True))
        yield {p.einsum.name: p for p, _ in picked}, cost


def _within(
    choices: list[list[tuple[Placed, tuple[float, ...]]]], limit: float, resources: int
) -> Iterator[tuple[tuple[Placed, tuple[float, ...]], ...]]:
    """Yield the products of choices in which no resource is busier than `limit`."""
    if limit == float("inf"):
        yield from product(*choices)
        return
    load = [0.0] * resources
    picked: list[tuple[Placed, tuple[float, ...]]] = []

    def walk(depth: int) -> Iterator[tuple[tuple[Placed, tuple[float, ...]], ...]]:
        if depth == len(choices):
            yield tuple(picked)
            return
        for choice in choices[depth]:
            ticks = choice[1][FIRST_RESOURCE:]
            if any(a + b > limit for a, b in zip(load, ticks, strict=True)):
                continue
            for i, t in enumerate(ticks):
                load[i] += t
            picked.append(choice)
            yield from walk(depth + 1)
            picked.pop()
            for i, t in enumerate(ticks):
                load[i] -= t

    yield from walk(0)
