"""Pictures of decode on pools: who works when, which cut wins where, what a link must carry, what a dollar buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from simulator.timeline import Bar, Timeline
from studies.style import COLOURS, new_figure, short_extent

__all__ = ["draw_bandwidth", "draw_cost", "draw_cut_map", "draw_decode"]

_BATCH = (COLOURS[3], COLOURS[1], COLOURS[5], COLOURS[6], COLOURS[2])
_WINNER = tuple(COLOURS[k] for k in (1, 3, 5, 6, 4, 2, 7))
_LABELS = {"tokens_per_s_per_usd_h": "tokens/s for a dollar an hour", "tokens_per_s": "tokens/s"}
_ROUND = (200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
_NARROW = 0.022  # a bar below this share of the width has no room for its label


def draw_decode(lines: Sequence[Timeline]) -> Figure:
    """Return bars of pools and link over some layers, a colour for each batch, one scale of time for all."""
    figure = Figure(figsize=(13.0, 0.8 + 2.3 * len(lines)), layout="constrained")
    grid = figure.subplots(len(lines), 1, squeeze=False)
    spans = [_span(line) for line in lines]
    width = max(end - start for start, end in spans)
    for line, ax, (start, _) in zip(lines, grid[:, 0], spans, strict=True):
        rows = {name: len(line.resources) - 1 - k for k, name in enumerate(line.resources)}
        for bar in line.bars:
            _draw_bar(ax, bar, rows[bar.resource], (start, width, line.tick_s * 1e6))
        ax.set(xlim=(0, width), ylim=(-0.5, len(rows) - 0.5), yticks=list(rows.values()), yticklabels=list(rows))
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        bound = "dependences" if line.critical.startswith("dependences") else line.critical
        every = float(line.interval) * line.tick_s * 1e6
        ax.set_title(f"{line.title}: a layer every {every:,.4g} us, bound by {bound}", fontsize=10, loc="left")
    grid[-1, 0].set_xlabel("microseconds")
    batches = sorted({_batch(bar.task) for line in lines for bar in line.bars} - {-1})
    keys = [Patch(facecolor=_BATCH[n % len(_BATCH)], label=f"batch {n + 1}") for n in batches]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False, fontsize=9)
    return figure


def _span(line: Timeline) -> tuple[float, float]:
    shown = [bar for bar in line.bars if line.shown[0] <= bar.iteration < line.shown[1]]
    scale = line.tick_s * 1e6
    return float(min(b.start for b in shown)) * scale, float(max(b.end for b in shown)) * scale


def _batch(task: str) -> int:
    """Return the batch that a task's name ends in, or -1."""
    last = task.rsplit(" ", maxsplit=1)[-1]
    return int(last) if last.isdecimal() else -1


def _draw_bar(ax: Axes, bar: Bar, row: int, frame: tuple[float, float, float]) -> None:
    start, width, scale = frame
    left, length = float(bar.start) * scale - start, float(bar.end - bar.start) * scale
    if left > width or left + length < 0:
        return
    number = _batch(bar.task)
    colour = _BATCH[number % len(_BATCH)] if number >= 0 else COLOURS[0]
    edge = "white" if length > width / 200 else colour
    # Half a row for each of two replicas.
    low = row - 0.4 + 0.4 * (bar.lane % 2)
    height = 0.4 if bar.lane else 0.8
    ax.broken_barh(
        [(left, length)], (row - 0.4 if not bar.lane else low, height), facecolor=colour, edgecolor=edge, linewidth=0.6
    )
    shown = min(left + length, width) - max(left, 0.0)
    if shown > _NARROW * width:
        name = bar.task.rsplit(" ", maxsplit=1)[0].removesuffix(" for")
        ink = "white" if sum(to_rgb(colour)) < 1.6 else "black"
        ax.text(max(left, 0.0) + shown / 2, row, name, ha="center", va="center", fontsize=7, color=ink, clip_on=True)


def draw_cut_map(best: pd.DataFrame, axes: tuple[str, str], by: str) -> Figure:
    """Return who is best at each point (the colour), and what share the next best lacks (the number)."""
    losses = [column for column in best.columns if column.startswith("loss_")]
    names = [column.removeprefix("loss_") for column in losses]
    columns, rows = (sorted(best[axis].unique()) for axis in axes)
    figure = Figure(figsize=(2.2 + 0.72 * len(columns), 1.6 + 0.42 * len(rows)), layout="constrained")
    ax: Axes = figure.subplots()
    picture = np.ones((len(rows), len(columns), 3))
    for _, point in best.iterrows():
        x, y = columns.index(point[axes[0]]), rows.index(point[axes[1]])
        if not point.best:
            ax.text(x, y, "-", ha="center", va="center", fontsize=8, color="#888888")
            continue
        picture[y, x] = to_rgb(_WINNER[names.index(point.best) % len(_WINNER)])
        others = sorted(point[column] for column in losses if column != f"loss_{point.best}")
        margin = others[0] if others else 1.0
        ax.text(x, y, "alone" if margin >= 1 else f"{margin:.0%}", ha="center", va="center", fontsize=7)
    ax.imshow(picture, origin="lower", aspect="auto", alpha=0.75)
    ax.set_xticks(range(len(columns)), [_short(float(v)) for v in columns])
    ax.set_yticks(range(len(rows)), [_short(float(v)) for v in rows])
    ax.set(xlabel=axes[0], ylabel=axes[1])
    ax.set_title(f"Most {_LABELS.get(by, by)}; by how much the next best is less", fontsize=10, loc="left")
    won = [name for name in names if (best.best == name).any()]
    keys = [Patch(facecolor=_WINNER[names.index(n) % len(_WINNER)], alpha=0.75, label=n) for n in won]
    figure.legend(handles=keys, loc="outside lower center", ncols=min(4, max(1, len(keys))), frameon=False, fontsize=9)
    return figure


def _short(value: float) -> str:
    return short_extent(int(value)) if value == int(value) and value >= 1024 else f"{value:g}"


def draw_bandwidth(tables: Mapping[str, pd.DataFrame], marks: Mapping[str, float]) -> Figure:
    """Return contours of the GB/s that all NICs together must carry, over requests and context, a panel for each table.

    `marks` are bandwidths by name; each is drawn as a line of its own.
    """
    figure, axes = new_figure(
        len(tables), "GB/s of all NICs together at which messages add 20 % to a layer", width=12.5, height=4.6
    )
    for ax, (title, table) in zip(axes, tables.items(), strict=True):
        grid = table.pivot_table(index="batch", columns="context", values="link_bytes_per_s_needed") / 1e9
        x, y = np.meshgrid(grid.columns, grid.index)
        levels = [2, 5, 10, 20, 30, 50, 70, 100]
        drawn = ax.contour(x, y, grid.values, levels=levels, cmap="viridis", linewidths=1.2)
        ax.clabel(drawn, fmt="%g", fontsize=8)
        for colour, (name, value) in zip((COLOURS[4], COLOURS[6]), marks.items(), strict=False):
            if grid.values.min() < value / 1e9 < grid.values.max():
                line = ax.contour(x, y, grid.values, levels=[value / 1e9], colors=[colour], linewidths=2.2)
                ax.clabel(line, fmt=name, fontsize=8)
        ax.set_xscale("log", base=2)
        ax.set(xlabel="context", title=title, xticks=list(grid.columns)[::8])
        ax.set_xticklabels([_short(round(float(v))) for v in list(grid.columns)[::8]])
        ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes[0].set_ylabel("requests in a batch")
    return figure


def draw_cost(bands: pd.DataFrame, prices: tuple[float, float]) -> Figure:
    """Return dollars for a million tokens over tokens/s by set-up, from the lowest to the highest price of an H100."""
    title = "Dollars for a million tokens; a bar spans an H100 hour from {:g} to {:g} USD, its dot the median".format(
        *prices
    )
    figure, axes = new_figure(len(bands.model.unique()), title, width=13, height=4.4)
    for ax, (model, rows) in zip(axes, bands.groupby("model", sort=False), strict=True):
        for number, (name, part) in enumerate(rows.groupby("candidate", sort=False)):
            colour = _WINNER[number % len(_WINNER)]
            low, mid, high = (part[f"usd_{end}"].to_numpy() for end in ("low", "mid", "high"))
            bars: Any = np.stack([mid - low, high - mid])
            ax.errorbar(
                part.tokens_per_s, mid, yerr=bars, fmt="o", color=colour, capsize=3, markersize=5, label=str(name)
            )
        ax.set(xscale="log", yscale="log", xlabel="tokens/s", title=str(model))
        ax.set_xticks([t for t in _ROUND if 0.8 * rows.tokens_per_s.min() < t < 1.25 * rows.tokens_per_s.max()])
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
            axis.set_minor_formatter(NullFormatter())
        ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes[0].set_ylabel("USD for a million tokens")
    axes[0].set_yticks([0.2, 0.5, 1, 2, 5, 10, 20, 50])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure
