"""One frame of a fusion group with one layer for each part: every binding and residence, scored as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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

__all__ = ["Bound", "Choice", "Corner", "Limit", "Scores", "Tables", "score_corner"]

Bound = tuple[float, float, float]  # latency in ticks, energy in joules, traffic in bytes


class Limit(Protocol):
    """What a search knows of the best so far."""

    def ticks(self) -> float:
        """Return the ticks above which a part may not be busy."""

    def key(self, bound: Bound) -> tuple[float, ...]:
        """Return what is to be least."""

    def hopeless(self, bound: Bound) -> bool:
        """Say whether nothing with this bound can be better than the best."""


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
    corner: Corner
    placed: dict[str, Placed]
    options: tuple[list[Residence], ...]

    def choice(self, row: int) -> Choice:
        """Return what a row stands for."""
        inner = int(self.which[row])
        digits = []
        for ways in reversed(self.options):
            inner, digit = divmod(inner, len(ways))
            digits.append(ways[digit])
        return Choice(self.corner, self.placed, tuple(reversed(digits)))


class Tables:
    """Costs of parts of a corner that other corners share: Einsums on parts, and residences of tensors."""

    def __init__(self, setting: Setting, group: FusedGroup) -> None:
        self.setting = setting
        self.group = group
        self.tensors = _tensors(setting, group)
        self.able = {name: setting.able(name) for name in group.members}
        self._placed: dict[tuple[Frame, str, str, Layer], Placed | None] = {}
        self._ways: dict[tuple[object, ...], list[Residence]] = {}

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


def score_corner(tables: Tables, corner: Corner, limit: Limit) -> Iterator[Scores]:
    """Yield the scores of each binding of a corner, the one with the least work first, as far as it may win.

    Left out are bindings that keep a part busy for longer than `limit` allows, and those of which it says that even
    their least latency, energy and traffic, each by itself, cannot win; it is asked anew before each.
    """
    picked = sorted(_bindings(tables, corner, limit.ticks()), key=lambda found: limit.key(_bound(found[1])))
    for placed, base in picked:
        if limit.hopeless(_bound(base)):
            return
        options = tuple(
            tables.ways(corner, tensor, tuple(placed[m] for m in members))
            for tensor, (members, _) in tables.tensors.items()
        )
        total = prod(len(ways) for ways in options)
        if total and not limit.hopeless(_least(base, options)):
            yield _score(tables.setting, corner, placed, base, options)


def _score(
    setting: Setting,
    corner: Corner,
    placed: dict[str, Placed],
    base: tuple[float, ...],
    options: tuple[list[Residence], ...],
) -> Scores:
    """Return the sums of every combination of residences, those that do not fit left out."""
    names = tuple(setting.capacities)
    capacity = np.array([setting.capacities[name] for name in names])
    costs, held = np.array([base]), np.zeros((1, len(names)))
    which = np.zeros(1, dtype=np.int64)
    for ways in options:
        more = np.array([way.cost for way in ways])
        there = np.array([[way.held.get(name, 0.0) for name in names] for way in ways])
        costs = (costs[:, None, :] + more[None, :, :]).reshape(-1, costs.shape[1])
        held = (held[:, None, :] + there[None, :, :]).reshape(-1, held.shape[1])
        which = (which[:, None] * len(ways) + np.arange(len(ways))[None, :]).reshape(-1)
        # What does not fit now never will, as nothing gives room back.
        fits = (held <= capacity).all(axis=1)
        costs, held, which = costs[fits], held[fits], which[fits]
    total = prod(len(ways) for ways in options)
    latency = costs[:, FIRST_RESOURCE:].max(axis=1)
    return Scores(latency, costs[:, ENERGY], costs[:, TRAFFIC], which, total, corner, placed, options)


def _bound(cost: tuple[float, ...]) -> Bound:
    return max(cost[FIRST_RESOURCE:]), cost[ENERGY], cost[TRAFFIC]


def _least(base: tuple[float, ...], options: tuple[list[Residence], ...]) -> Bound:
    """Return the least of each cost that a binding can have."""
    columns = zip(base, *(map(min, zip(*(way.cost for way in ways), strict=True)) for ways in options), strict=True)
    least = [sum(column) for column in columns]
    return _bound(tuple(least))


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
