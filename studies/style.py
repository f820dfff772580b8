"""How figures look: one palette by configuration, one hatch by model, quiet axes, no state outside the figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["COLOURS", "grouped_bars", "new_figure", "short_extent"]

# Okabe and Ito's palette, legible with colour-vision deficiencies and in grey.
COLOURS = ("#999999", "#E69F00", "#56B4E9", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#F0E442")


def short_extent(extent: int) -> str:
    """Return a power of two as papers write it.

    >>> short_extent(4096), short_extent(1 << 20)
    ('4K', '1M')
    """
    for power, suffix in ((20, "M"), (10, "K")):
        if extent >= 1 << power and extent % (1 << power) == 0:
            return f"{extent >> power}{suffix}"
    return str(extent)


def new_figure(
    columns: int, title: str, *, rows: int = 1, width: float = 12.0, height: float = 3.6
) -> tuple[Figure, list[Axes]]:
    """Return a figure with a row of axes that share their scale, and quiet frames."""
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    axes = [ax for row in grid for ax in row]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
    figure.suptitle(title, fontsize=11)
    return figure, axes


def grouped_bars(
    ax: Axes, groups: Sequence[str], series: Mapping[str, Sequence[float]], colours: Mapping[str, str]
) -> None:
    """Draw one bar per series in each group."""
    place = np.arange(len(groups))
    width = 0.8 / len(series)
    for index, (name, values) in enumerate(series.items()):
        ax.bar(place + (index - (len(series) - 1) / 2) * width, values, width, label=name, color=colours[name])
    ax.set_xticks(place, list(groups))
