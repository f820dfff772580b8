"""The picture of a served load: waiting and pace over the rate, and how much of it is good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studies.style import COLOURS

__all__ = ["draw_load"]


def draw_load(rows: Sequence[Mapping[str, float]], title: str) -> Figure:
    """Return p50 and p99 of both waits, and served and good requests, over the arrival rate; bars are 95 % of seeds."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    first, pace, good = figure.subplots(1, 3)
    for ax, wait, name in ((first, "ttft", "time to first token, s"), (pace, "tpot", "time per token, s")):
        _line(ax, rows, f"{wait}_p50_s", COLOURS[3], "p50")
        _line(ax, rows, f"{wait}_p99_s", COLOURS[4], "p99")
        ax.set(yscale="log", ylabel=name)
    _line(good, rows, "requests_per_s", COLOURS[0], "served")
    _line(good, rows, "goodput_per_s", COLOURS[5], "within the objective")
    good.set(ylabel="requests a second", ylim=(0, None))
    for ax in (first, pace, good):
        ax.set_xlabel("arrivals a second")
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#dddddd", linewidth=0.6)
        ax.legend(frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=11)
    return figure


def _line(ax: Axes, rows: Sequence[Mapping[str, float]], name: str, colour: str, label: str) -> None:
    half = [row.get(f"{name}_half", 0.0) for row in rows]
    rates = [row["rate_per_s"] for row in rows]
    ax.errorbar(
        rates, [row[name] for row in rows], half, color=colour, marker="o", markersize=3, capsize=2, label=label
    )
