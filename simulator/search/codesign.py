"""Which machine, with the best mapping for each: latency, energy and area of many, and the front of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from arch_specs.cost import chip_area
from arch_specs.model import Architecture
from einsum_cascades.diagnostics import MappingError
from simulator.search.search import Options, SearchResult, search
from simulator.workload import Workload

__all__ = ["Machine", "codesign", "front"]

Say = Callable[[str], None]


@dataclass(frozen=True)
class Machine:
    """One machine of a co-design: its numbers, its area in um^2, and the best design on it."""

    point: Mapping[str, int]
    area_um2: float
    result: SearchResult

    @property
    def costs(self) -> tuple[float, float, float]:
        """Latency in seconds, energy in joules, area in um^2."""
        return self.result.report.latency_s, self.result.report.energy_j or 0.0, self.area_um2


def codesign(
    workload: Workload,
    base: Architecture,
    axes: Mapping[str, Sequence[int]],
    options: Options | None = None,
    build: Callable[[Architecture, Mapping[str, int]], Architecture] | None = None,
    say: Say = lambda _: None,
) -> Iterator[Machine]:
    """Yield every machine of the product of `axes` on which the workload fits, each with its best mapping.

    `build` makes the machine of a point; without it, each axis is a number of the machine (`pe2d.rows`).
    """
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        machine = (build or _replace)(base, point)
        try:
            result = search(workload, machine, options)
        except MappingError:
            continue
        say(", ".join(f"{name}={value}" for name, value in point.items()))
        yield Machine(point, sum(chip_area(machine).values()), result)


def _replace(base: Architecture, point: Mapping[str, int]) -> Architecture:
    for dotted, value in point.items():
        base = base.replace(dotted, value)
    return base


def front(machines: Sequence[Machine]) -> list[Machine]:
    """Return the machines of which no other is better in latency, energy and area at once, smallest first."""
    keep = [
        m
        for m in machines
        if not any(o.costs != m.costs and all(a <= b for a, b in zip(o.costs, m.costs, strict=True)) for o in machines)
    ]
    return sorted(keep, key=lambda m: m.area_um2)
