"""A report as one picture."""

from __future__ import annotations

from matplotlib.figure import Figure

from simulator.report import Report
from studies.style import COLOURS

__all__ = ["plot_report"]


def plot_report(report: Report) -> Figure:
    """Return bars of the time for which each Einsum holds each resource, with the latency as a line."""
    resources = list(dict.fromkeys(row.resource for row in report.rows if row.busy_s > 0))
    einsums = list(dict.fromkeys(row.einsum for row in report.rows if row.busy_s > 0))
    figure = Figure(figsize=(8.0, 1.6 + 0.5 * len(resources)), layout="constrained")
    axes = figure.subplots()
    reached = dict.fromkeys(resources, 0.0)
    for n, einsum in enumerate(einsums):
        for k, resource in enumerate(resources):
            busy = sum(row.busy_s for row in report.rows if (row.einsum, row.resource) == (einsum, resource))
            colour, hatch = COLOURS[n % len(COLOURS)], "//" if n >= len(COLOURS) else None
            label = einsum if k == 0 else None
            axes.barh(k, busy, left=reached[resource], color=colour, hatch=hatch, edgecolor="white", label=label)
            reached[resource] += busy
    axes.axvline(report.latency_s, color="#444444", linestyle=":", label="latency")
    axes.set_yticks(range(len(resources)), resources)
    axes.set_xlabel("seconds held")
    figure.suptitle(f"{report.title}: bound by {report.bound_by}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure
