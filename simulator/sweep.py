"""Many designs, one tidy table: the product of axes over extents, numbers of the machine and knobs of the mapping."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from arch_specs.model import Architecture
from einsum_cascades.diagnostics import MappingError
from simulator.evaluate import evaluate
from simulator.library import make_design
from simulator.mapping_reader import Template
from simulator.workload import Workload

__all__ = ["Axes", "sweep_rows"]

Axes = Mapping[str, Sequence[str | int | float]]


def sweep_rows(
    workload: Workload, architecture: Architecture, axes: Axes, template: Template | None = None
) -> Iterator[dict[str, Any]]:
    """Yield one row per point of the product of `axes`, the last axis fastest.

    An axis is an extent (`M`), a number of the machine (`pe2d.rows`) or a knob (`mapping.queries`). A row holds the
    point, then `feasible`, `why` (of an infeasible one), `latency_s`, `ceiling_s`, `traffic_bytes`, `bound_by` and one
    `util_PART` per part. Raises SpecError for an axis that is none.
    """
    names = {e.name for e in workload.cascade.extents}
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        extents = {name: int(value) for name, value in point.items() if name in names}
        settings: dict[str, Any] = {name: value for name, value in point.items() if name not in names}
        shaped = replace(workload, extents={**workload.extents, **extents})
        try:
            report = evaluate(make_design(shaped, architecture, template, settings))
        except MappingError as error:
            yield {**point, "feasible": False, "why": str(error)}
            continue
        yield {
            **point,
            "feasible": True,
            "why": "",
            "latency_s": report.latency_s,
            "ceiling_s": report.ceiling_s,
            "traffic_bytes": report.traffic_bytes,
            "bound_by": report.bound_by,
            **{f"util_{name}": share for name, share in report.utilization.items()},
        }
