"""The picture of a cascade: its Einsums and what flows between them, coloured by pass, with the barriers marked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from einsum_cascades.ir import Access, Call, Cascade, Einsum, Expr
from einsum_cascades.printer import print_einsum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_cascade"]

_COLORS = ("#8fb8de", "#f2c078", "#a8d5a2", "#d9a5b3", "#c5b3e6", "#d6d6a5")
_PLAIN = "#eeeeee"


def draw_cascade(cascade: Cascade, levels: Mapping[str, int], rank: str, path: Path, form: str) -> None:
    """Write the picture of a cascade as `form` (svg, png); `levels` are the passes over `rank` by Einsum."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = cascade.name  # the same picture is the same file
    place = _layout(cascade, levels)
    width = max(x for x, _ in place.values()) + 1
    height = max(y for _, y in place.values()) + 1
    figure, axes = plt.subplots(figsize=(0.6 + 1.75 * width, 1.5 + 1.05 * height))
    _draw_barriers(axes, cascade, levels, place)
    _draw_edges(axes, cascade, place)
    for tensor in cascade.inputs:
        _box(axes, place[tensor.name], tensor.name, f"[{','.join(tensor.ranks)}]", _PLAIN)
    for einsum in cascade.extended:
        color = _COLORS[(levels.get(einsum.name, 1) - 1) % len(_COLORS)]
        _box(axes, place[einsum.name], einsum.name, _shorten(einsum), color)
    passes = max(levels.values(), default=1)
    for level in range(1, passes + 1):
        axes.scatter([], [], marker="s", s=90, color=_COLORS[(level - 1) % len(_COLORS)], label=f"pass {level}")
    axes.plot([], [], color="#b03030", linestyle="--", label="barrier")
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.0), ncols=passes + 1, frameon=False, fontsize=8)
    axes.set_title(f"{cascade.name}: passes over {rank}", fontsize=11, loc="left")
    axes.set_xlim(-0.55, width - 0.45)
    axes.set_ylim(height - 0.4, -1.1)
    axes.axis("off")
    figure.tight_layout()
    figure.savefig(path, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)
    plt.close(figure)


def _layout(cascade: Cascade, levels: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Place each Einsum right of what it reads, later passes right of earlier ones, and inputs before their reader."""
    column = {t.name: 0 for t in cascade.inputs}
    for level in sorted(set(levels.values())) or [1]:
        start = max(column.values(), default=0) + 1 if level > 1 else 1
        for einsum in cascade.extended:
            if levels.get(einsum.name, 1) == level:
                sources = [column[a.tensor] for a in einsum.accesses if a.tensor in column]
                column[einsum.name] = max([start - 1, *sources]) + 1
    for tensor in cascade.inputs:
        readers = [column[e.name] for e in cascade.extended if any(a.tensor == tensor.name for a in e.accesses)]
        del column[tensor.name]  # the Einsums of a column come first, what is read from outside stands below them
        column[tensor.name] = min(readers, default=1) - 1
    rows: dict[int, int] = {}
    place = {}
    for name, x in column.items():
        place[name] = (float(x), float(rows.get(x, 0)))
        rows[x] = rows.get(x, 0) + 1
    tallest = max(rows.values())
    return {name: (x, y + (tallest - rows[int(x)]) / 2) for name, (x, y) in place.items()}


def _draw_barriers(
    axes: Axes, cascade: Cascade, levels: Mapping[str, int], place: Mapping[str, tuple[float, float]]
) -> None:
    for level in range(1, max(levels.values(), default=1)):
        after = [place[e.name][0] for e in cascade.extended if levels.get(e.name, 1) > level]
        axes.axvline(min(after) - 0.5, color="#b03030", linestyle="--", linewidth=1.2, ymax=0.93)


def _draw_edges(axes: Axes, cascade: Cascade, place: Mapping[str, tuple[float, float]]) -> None:
    order = {e.name: i for i, e in enumerate(cascade.extended)}
    for einsum in cascade.extended:
        for tensor in dict.fromkeys(a.tensor for a in einsum.accesses):
            if tensor in place:
                earlier = order.get(tensor, -1) >= order[einsum.name]
                _arrow(axes, place[tensor], place[einsum.name], earlier=earlier)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], *, earlier: bool) -> None:
    """Draw what flows between two boxes; a read of an earlier generation is dotted and runs below the boxes."""
    (x0, y0), (x1, y1) = start, end
    bend = 0.0
    if earlier and start == end:
        start, end, bend = (x0 - 0.2, y0 + 0.28), (x0 + 0.2, y0 + 0.28), 0.9
    elif earlier:
        start, end, bend = (x0 - 0.15, y0 + 0.28), (x1 + 0.15, y1 + 0.28), -0.3
    elif x1 - x0 > 1 and y0 == y1:  # around the boxes between, above them
        start, end, bend = (x0 + 0.25, y0 - 0.28), (x1 - 0.25, y1 - 0.28), -0.5 / (x1 - x0) ** 0.5
    elif x1 - x0 > 1:
        side = 1 if y0 > y1 else -1
        start, end, bend = (x0 + 0.4, y0), (x1 - 0.3, y1 + 0.28 * side), 0.25 * side / (x1 - x0 - 1) ** 0.5
    else:
        start, end = (x0 + 0.4, y0), (x1 - 0.4, y1)
    style = {"arrowstyle": "-|>", "color": "#777777", "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    style |= {"connectionstyle": f"arc3,rad={bend}", "linestyle": ":" if earlier else "-"}
    axes.annotate("", xy=end, xytext=start, arrowprops=style, zorder=1)


def _box(axes: Axes, at: tuple[float, float], name: str, text: str, color: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = at
    shape = "round,pad=0,rounding_size=0.06"
    axes.add_patch(
        FancyBboxPatch((x - 0.4, y - 0.28), 0.8, 0.56, boxstyle=shape, facecolor=color, edgecolor="#444444", zorder=2)
    )
    axes.text(x, y - 0.1, name, ha="center", va="center", fontsize=10, fontweight="bold", zorder=3)
    axes.text(x, y + 0.13, text, ha="center", va="center", fontsize=6, zorder=3)


def _shorten(einsum: Einsum) -> str:
    """Return the right side of an Einsum, the indices that all its tensors have alike left out."""
    accesses = (einsum.output, *einsum.accesses)
    shared = [
        v
        for v in einsum.output.variables
        if all(any(i.single == v and i.offset == 0 for i in a.indices) for a in accesses)
    ]
    text = print_einsum(dataclasses.replace(einsum, expr=_without(einsum.expr, shared))).partition(" = ")[2]
    text = text.replace("[]", "")
    return text if len(text) <= 27 else text[:25] + "..."


def _without(expr: Expr, variables: list[str]) -> Expr:
    match expr:
        case Access(tensor, indices):
            return Access(tensor, tuple(i for i in indices if i.single not in variables or i.offset))
        case Call(operator, arguments):
            return Call(operator, tuple(_without(a, variables) for a in arguments))
    return expr
