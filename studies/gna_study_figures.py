"""Published kernels and models beside bounds and predictions of neighborhood attention."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studies.style import COLOURS, grouped_bars, new_figure

__all__ = ["draw_end_to_end", "draw_gpus", "draw_op_level", "draw_times"]

_OP_LEVEL = {"saving in pairs": "flop", "worst tile": "published_sim", "predicted": "predicted", "measured": "measured"}
_END_TO_END = {"published simulator": ("published_sim", "o", 0), "mean tiles and mask tax": ("predicted", "s", 3)}
_TIMES = {"dense": ("o", 0), "kernel": ("s", 3), "permute": ("^", 5)}


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


def draw_times(rows: pd.DataFrame) -> Figure:
    """Return predicted against measured times of dense attention, of kernels and of laying tokens out."""
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    ax: Axes = figure.subplots()
    ends = np.array([0.02, 1000.0])
    ax.plot(ends, ends, color="#333333", linewidth=0.8)
    ax.fill_between(ends, ends / 1.2, ends * 1.2, color="#333333", alpha=0.08, linewidth=0)
    for name, (marker, colour) in _TIMES.items():
        known = rows[rows[f"{name}_measured_ms"].notna()]
        ax.plot(known[f"{name}_measured_ms"], known[f"{name}_ms"], marker, color=COLOURS[colour], alpha=0.8, label=name)
    ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    ax.set(xlabel="measured, ms", ylabel="predicted, ms")
    ax.set_title("Forward times on B200, H100 and A100; the band is 20 %", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.legend(frameon=False, loc="upper left")
    return figure


def draw_gpus(rows: pd.DataFrame) -> Figure:
    """Return for each mask the predicted speed-up over the fastest dense attention of every GPU, and measured."""
    masks = list(dict.fromkeys(zip(rows.model, rows.stride, strict=True)))
    figure, axes = new_figure(
        len(masks), "Speed-up over the card's fastest dense attention, by GPU", width=15, height=6
    )
    for ax, (model, stride) in zip(axes, masks, strict=True):
        part = rows[(rows.model == model) & (rows.stride == stride)]
        places = np.arange(len(part))[::-1]
        ax.barh(places, part.over_best, color=COLOURS[0], height=0.7, label="predicted")
        ax.plot(part.measured, places, "D", color=COLOURS[5], markersize=5, label="measured")
        ax.set_yticks(places, list(part.gpu), fontsize=8)
        ax.tick_params(labelleft=ax is axes[0])
        ax.set_title(f"{model} stride {stride}", fontsize=9)
        ax.grid(axis="x", color="#dddddd", linewidth=0.6)
        ax.grid(axis="y", visible=False)
        ax.set_axisbelow(True)
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    return figure
