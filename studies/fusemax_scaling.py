"""Beside the attention table of the FuseMax study: linear layers, and the chip made smaller and larger (Fig. 12)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from arch_specs.cost import chip_area
from arch_specs.model import Architecture
from simulator import library
from simulator.evaluate import evaluate
from simulator.workload import Preset, Workload
from studies.fusemax_card import count_macs

__all__ = ["PE_DIMS", "linear_rows", "pareto_rows", "scaled_chip"]

PE_DIMS = tuple(2**power for power in range(4, 10))
PLATFORMS = {"flat": "flat", "proposal": "fusemax"}
_PARETO_LENGTH = 2**18


def _layers(shape: Preset) -> Iterator[tuple[int, int]]:
    """Yield (K, N) of each linear layer of an encoder: three projections, the output projection, two of the FFN."""
    heads = shape.extents["H"] * shape.extents["E"]
    model, hidden = shape.extents["D"], shape.extents["S"]
    yield from ((model, heads), (model, heads), (model, heads), (heads, model), (model, hidden), (hidden, model))


def linear_rows(
    models: tuple[str, ...], seq_lens: tuple[int, ...], accountings: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Yield traffic, latency and energy of an encoder's linear layers, run one after another, by platform."""
    cascade, template = library.load_cascade("linear"), library.load_mapping("linear")
    for platform, arch_name in PLATFORMS.items():
        arch = library.load_machine(arch_name)
        for model in models:
            shape = library.load_workload(model)
            for seq_len in seq_lens:
                tokens = shape.extents["B"] * seq_len
                workloads = [Workload(cascade, {"T": tokens, "K": k, "N": n}) for k, n in _layers(shape)]
                designs = [library.make_design(workload, arch, template) for workload in workloads]
                for accounting in accountings:
                    reports = [evaluate(design, accounting) for design in designs]
                    yield {
                        "platform": platform,
                        "model": model,
                        "seq_len": seq_len,
                        "accounting": accounting,
                        "traffic_bytes": sum(r.traffic_bytes for r in reports),
                        "latency_s": sum(r.latency_s for r in reports),
                        "energy_j": sum(r.energy_j or 0.0 for r in reports),
                        "macs": sum(count_macs(r, arch) for r in reports),
                    }


def scaled_chip(chip: Architecture, dim: int, extent: int, seq_len: int, doublings: int) -> Architecture:
    """Return a FuseMax chip with a `dim` x `dim` array and the smallest buffer that its tiles need, doubled so often.

    Source: FuseMax (MICRO 2024), Fig. 12, and its artifact: two tiles for each block of `extent` rows of the array, 16
    bytes of buffer for each lane's share of a tile, registers in proportion.
    """
    tiles = 2 * max(1, dim // extent)
    base = max(1, tiles * dim // seq_len)
    numbers: dict[str, int] = {
        "pe2d.rows": dim,
        "pe2d.cols": dim,
        "pe2d.registers": 2 * tiles,
        "pe1d.rows": dim,
        "pe1d.registers": 8 * tiles,
        "L3.access": 2 * dim,
        "L3.capacity": 16 * dim * extent * base * 2**doublings,
    }
    for dotted, value in numbers.items():
        chip = chip.replace(dotted, value)
    return chip


def pareto_rows(models: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield latency and area of FuseMax at 256K by array extent; the buffer doubles while memory bounds the design."""
    cascade, base = library.load_cascade("attention_1pass"), library.load_machine("fusemax")
    template = library.load_mapping("fusemax_binding")
    for model in models:
        shape = library.load_workload(model)
        workload = Workload.of(cascade, shape, M=_PARETO_LENGTH)
        for dim in PE_DIMS:
            doublings = 0
            while True:
                chip = scaled_chip(base, dim, shape.extents["E"], _PARETO_LENGTH, doublings)
                report = evaluate(library.make_design(workload, chip, template), "published")
                busy = {name: sum(r.busy_s for r in report.rows if r.resource == name) for name in report.utilization}
                if busy["DRAM"] <= busy["pe1d"]:
                    break
                doublings += 1
            areas = chip_area(chip)
            yield {
                "model": model,
                "pe_dim": dim,
                "traffic_bytes": report.traffic_bytes,
                "mem_latency_s": busy["DRAM"],
                "compute_2d_s": busy["pe2d"],
                "compute_1d_s": busy["pe1d"],
                "latency_s": report.latency_s,
                "array_2d_area_um2": areas["pe2d"],
                "area_um2": sum(areas.values()),
            }
