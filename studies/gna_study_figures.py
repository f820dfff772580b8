"""Published kernels and models beside bounds and predictions of neighborhood attention."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studies.style import COLOURS, grouped_bars, new_figure

__all__ = ["draw_end_to_end", "draw_op_level"]

_OP_LEVEL = {"saving in pairs": "flop", "worst tile": "published_sim", "predicted": "predicted", "measured": "measured"}
_END_TO_END = {"published simulator": ("published_sim", "o", 0), "mean tiles and mask tax": ("predicted", "s", 3)}


def draw_op_level(rows: pd.DataFrame) -> Figure:
    """Return kernel speed-ups over dense attention by GPU: bounds, the held-out prediction, measured."""
    figure, axes = new_figure(2, "Speed-up of one attention call over dense", width=13, height=4)
    colours = dict(zip(_OP_LEVEL, (COLOURS[0], COLOURS[1], COLOURS[3], COLOURS[5]), strict=True))
    for ax, (gpu, part) in zip(axes, rows.groupby("gpu", sort=False), strict=True):
        groups = [f"{model}\n{stride}" for model, stride in zip(part.model, part.stride, strict=True)]
        grouped_bars(ax, groups, {label: list(part[column]) for label, column in _OP_LEVEL.items()}, colours)
        ax.set_title(str(gpu).upper(), fontsize=10)
        ax.tick_params(labelsize=8)
    axes[0].set_ylabel("speed-up")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def draw_end_to_end(rows: pd.DataFrame) -> Figure:
    """Return speed-ups of whole models, predicted against measured, by the published simulator and by ours."""
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    ax: Axes = figure.subplots()
    for label, (column, marker, colour) in _END_TO_END.items():
        error = float((rows[column] / rows.measured - 1).abs().mean())
        ax.plot(
            rows.measured,
            rows[column],
            marker,
            color=COLOURS[colour],
            markersize=6,
            alpha=0.8,
            label=f"{label}: mean error {error:.1%}",
        )
    ends = np.array([1.0, 2.35])
    ax.plot(ends, ends, color="#333333", linewidth=0.8)
    ax.set(xlim=ends, ylim=ends, xlabel="measured end-to-end speed-up", ylabel="predicted", aspect="equal")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.legend(frameon=False, loc="upper left")
    ax.set_title("44 rows on B200: Cosmos-7B, HunyuanVideo, FLUX", fontsize=10)
    return figure
