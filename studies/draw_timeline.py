"""The waterfall: resources as rows, Einsums in colour, iterations labelled, what binds outlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from simulator.timeline import Bar, Timeline

__all__ = ["draw_design", "timeline_figure"]

# Twelve colours that stay apart; tasks of a design take them in listed order.
_COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00",
    "#F0E442", "#8C6BB1", "#66C2A5", "#A6761D", "#FB9A99", "#1B1B6F",
)  # fmt: skip
_GREYS = ("#bbbbbb", "#8c8c8c", "#d9d9d9", "#6e6e6e")
_DARK = {"#0072B2", "#009E73", "#D55E00", "#8C6BB1", "#A6761D", "#1B1B6F", "#6e6e6e"}
_ROW = 0.8


def draw_design(timelines: Sequence[Timeline], path: Path, form: str) -> None:
    """Write timelines below each other, on one scale of time, as SVG or PNG."""
    with mpl.rc_context({"svg.hashsalt": "attnsim"}):
        metadata = {"Date": None} if form == "svg" else None
        timeline_figure(timelines).savefig(path, format=form, dpi=130, metadata=metadata)


def timeline_figure(timelines: Sequence[Timeline]) -> Figure:
    """Return the figure of `draw_design`."""
    spans = [_span(line) for line in timelines]
    longest = max(end - start for start, end in spans)
    rows = [len(line.resources) for line in timelines]
    height = 1.1 + sum(0.62 * n + 1.0 for n in rows)
    figure = Figure(figsize=(13.0, height), layout="constrained")
    grid = figure.subplots(len(timelines), 1, squeeze=False, height_ratios=rows)
    colour = _colours(timelines)
    for line, axes, (start, _) in zip(timelines, grid[:, 0], spans, strict=True):
        _draw(_Frame(axes, line, start, longest, colour))
    keys = [Patch(facecolor=shade, label=name) for name, shade in colour.items()]
    keys.append(Patch(facecolor="white", edgecolor="black", linewidth=1.6, label="critical"))
    keys.append(Patch(facecolor="white", edgecolor="#777777", hatch="////", label="drain"))
    figure.legend(handles=keys, loc="outside lower center", ncols=8, fontsize=8, frameon=False)
    return figure


def _colours(timelines: Sequence[Timeline]) -> dict[str, str]:
    """Return a colour for each task: bright ones for what computes, greys for transfers."""
    names = list(dict.fromkeys(bar.task for line in timelines for bar in line.bars))
    computing = [name for name in names if " for " not in name]
    moving = [name for name in names if " for " in name]
    bright = {name: _COLOURS[k % len(_COLOURS)] for k, name in enumerate(computing)}
    return bright | {name: _GREYS[k % len(_GREYS)] for k, name in enumerate(moving)}


def _span(line: Timeline) -> tuple[float, float]:
    """Return the ticks from the first start to the last end of the iterations shown, on the first resource's clock."""
    shown = [bar for bar in line.bars if line.shown[0] <= bar.iteration < line.shown[1]]
    main = [bar for bar in shown if bar.resource == line.resources[0]] or shown
    start = min((bar.start for bar in main), default=0)
    return float(start), float(max((bar.until for bar in shown if bar.start >= start), default=1))


@dataclass(frozen=True)
class _Frame:
    """Where a timeline is drawn, from which tick on and for how many."""

    axes: Axes
    line: Timeline
    start: float
    length: float
    colour: dict[str, str]


def _draw(frame: _Frame) -> None:
    axes, line = frame.axes, frame.line
    rows = {name: len(line.resources) - 1 - k for k, name in enumerate(line.resources)}
    lanes = {name: 1 + max((b.lane for b in line.bars if b.resource == name), default=0) for name in line.resources}
    for bar in line.bars:
        if float(bar.until) > frame.start and float(bar.start) < frame.start + frame.length:
            height = _ROW / lanes[bar.resource]
            _draw_bar(frame, bar, rows[bar.resource] - _ROW / 2 + bar.lane * height, height)
    axes.set_xlim(0, frame.length)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_yticks(list(rows.values()), list(rows))
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == line.critical else "normal")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(labelsize=8)
    axes.set_xlabel("cycles", fontsize=8)
    bound = line.critical if len(line.critical) < 70 else line.critical[:67] + "..."
    title = f"{line.title}: an iteration every {float(line.interval):,.6g} cycles, bound by {bound}"
    axes.set_title(title, fontsize=9, loc="left")


def _draw_bar(frame: _Frame, bar: Bar, low: float, height: float) -> None:
    """Draw one bar; iterations beside those shown are pale, and a narrow bar has no label."""
    inside = frame.line.shown[0] <= bar.iteration < frame.line.shown[1]
    left, width = float(bar.start) - frame.start, float(bar.end - bar.start)
    alpha = 1.0 if inside else 0.28
    marked = bar.critical and inside
    frame.axes.broken_barh(
        [(left, width)],
        (low, height),
        facecolor=frame.colour[bar.task],
        alpha=alpha,
        edgecolor="black" if marked else "white",
        linewidth=1.4 if marked else 0.4,
    )
    if bar.until > bar.end:
        frame.axes.broken_barh(
            [(left + width, float(bar.until - bar.end))],
            (low + height / 3, height / 3),
            facecolor="white",
            edgecolor=frame.colour[bar.task],
            hatch="////",
            alpha=alpha,
        )
    visible = min(left + width, frame.length) - max(left, 0.0)
    if visible > frame.length * 0.028 and height > _ROW / 3:
        place = (max(left, 0.0) + visible / 2, low + height / 2)
        dark = inside and frame.colour[bar.task] in _DARK
        ink = "white" if dark else "black" if inside else "#666666"
        label = f"{bar.task.split(' for ')[0]}\n{bar.iteration}"
        frame.axes.text(*place, label, ha="center", va="center", fontsize=6.5, color=ink, clip_on=True)
