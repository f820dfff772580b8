"""Iso-area co-design: which array, vector lanes and buffer the chip's area is best spent on, its ports charged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from arch_specs.cost import chip_area
from arch_specs.model import Architecture
from simulator import library
from simulator.evaluate import evaluate
from simulator.search.codesign import Machine, codesign, front
from simulator.search.search import Options
from simulator.workload import Workload
from studies.study import Claim, Result, Say, Study
from studies.style import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["STUDY", "chip_of"]

LENGTH = 16384
MIB = 2**20
AXES: Mapping[str, tuple[int, ...]] = {
    "pe_dim": (128, 256),
    "vector_lanes": (64, 128, 256),
    "buffer_mib": (1, 4, 16),
    "banks": (1, 2),
}


def chip_of(base: Architecture, point: Mapping[str, int]) -> Architecture:
    """Return the FuseMax chip with another array, vector unit and buffer.

    A row of the buffer is as wide as the array; each bank serves one row a cycle, and costs its area and energy.
    """
    numbers = {
        "pe2d.rows": point["pe_dim"],
        "pe2d.cols": point["pe_dim"],
        "pe1d.rows": point["vector_lanes"],
        "L3.access": 2 * point["pe_dim"],
        "L3.capacity": point["buffer_mib"] * MIB,
        "L3.banks": point["banks"],
        "L3.accesses_per_cycle": point["banks"],
    }
    for dotted, value in numbers.items():
        base = base.replace(dotted, value)
    return base


def analyze(say: Say) -> Result:
    """Return the table of machines, the figure of their front, and the card."""
    base = library.load_machine("fusemax")
    workload = Workload.of(library.load_cascade("attention_1pass"), library.load_workload("bert"), M=LENGTH)
    options = Options(accounting="ports", effort=200, polish=16)
    machines = list(codesign(workload, base, AXES, options, chip_of, say))
    best = front(machines)
    template = library.load_mapping("fusemax_binding")
    published = evaluate(library.make_design(workload, base, template), "ports")
    unlimited = evaluate(library.make_design(workload, base, template), "clean")
    area = sum(chip_area(base).values())
    rows = [_row(m, m in best) for m in machines]
    for row in rows:
        row["dominates_published"] = (
            row["latency_s"] <= published.latency_s
            and row["energy_j"] <= (published.energy_j or 0.0)
            and row["area_um2"] <= area
        )
    table = pd.DataFrame(rows)
    same = next(m for m in machines if m.area_um2 == area)
    card = (
        Claim(
            "published mapping with one row a cycle, latency over that with unlimited ports",
            1.0,
            published.latency_s / unlimited.latency_s,
            0.02,
            "BERT, 16K; the paper has no limit, the buffer is priced with one port",
            "FuseMax (MICRO 2024), sections V and VI",
        ),
        Claim(
            "best mapping of the same chip with one row a cycle, latency over the published with unlimited ports",
            1.0,
            same.result.report.latency_s / unlimited.latency_s,
            0.02,
            "BERT, 16K; larger key blocks and queries streamed past the buffer",
            "this study",
        ),
    )
    reference = (area, published.latency_s, unlimited.latency_s)
    return Result({"codesign": table}, {"codesign": _figure(machines, best, reference)}, card)


def _row(machine: Machine, on_front: bool) -> dict[str, Any]:
    report = machine.result.report
    return {
        **machine.point,
        "inner_block": machine.result.design.mapping.partition.get("M0"),
        "latency_s": report.latency_s,
        "energy_j": report.energy_j,
        "traffic_bytes": report.traffic_bytes,
        "area_um2": machine.area_um2,
        "bound_by": report.bound_by,
        "gap": machine.result.gap,
        "on_front": on_front,
    }


def _figure(machines: list[Machine], best: list[Machine], published: tuple[float, float, float]) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    figure = Figure(figsize=(7.0, 4.4), layout="constrained")
    ax = figure.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    others = [m for m in machines if m not in best]
    ax.scatter([m.area_um2 / 1e8 for m in others], [m.costs[0] for m in others], s=22, color=COLOURS[0], label="others")
    ax.scatter(
        [m.area_um2 / 1e8 for m in best],
        [m.costs[0] for m in best],
        s=34,
        color=COLOURS[3],
        label="front, best mapping",
    )
    area, limited, unlimited = published
    ax.scatter([area / 1e8], [limited], marker="X", s=70, color=COLOURS[4], label="published mapping, ports charged")
    ax.scatter([area / 1e8], [unlimited], marker="P", s=70, color=COLOURS[1], label="published mapping, ports free")
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis, places in ((ax.xaxis, (3, 4, 6, 8, 10, 14)), (ax.yaxis, (0.5, 1, 2, 3))):
        axis.set_major_locator(FixedLocator(places))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    ax.set_xlabel("chip area, cm$^2$")
    ax.set_ylabel("attention latency, s (BERT, 16K)")
    ax.legend(frameon=False, fontsize=8)
    return figure


STUDY = Study(
    "codesign",
    "What is the area of the FuseMax chip best spent on, when the ports of its buffer are charged?",
    "beyond FuseMax (MICRO 2024), section VI-E",
    analyze,
)
