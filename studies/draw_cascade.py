"""The picture of a cascade: its Einsums and what flows between them, coloured by pass, with the barriers marked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from einsum_cascades.ir import Cascade, Einsum
from einsum_cascades.printer import print_einsum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_cascade"]

_COLORS = ("#8fb8de", "#f2c078", "#a8d5a2", "#d9a5b3", "#c5b3e6", "#d6d6a5")
_PLAIN = "#eeeeee"


def draw_cascade(cascade: Cascade, levels: Mapping[str, int], rank: str, path: Path) -> None:
    """Write the picture of a cascade to an SVG or PNG file; `levels` are the passes over `rank` by Einsum."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    place = _layout(cascade, levels)
    width = max(x for x, _ in place.values()) + 1
    height = max(y for _, y in place.values()) + 1
    figure, axes = plt.subplots(figsize=(1.5 + 2.6 * width, 1.4 + 0.85 * height))
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
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _layout(cascade: Cascade, levels: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Place inputs in the first column and each Einsum right of what it reads, later passes right of earlier ones."""
    column = {t.name: 0 for t in cascade.inputs}
    for level in sorted(set(levels.values())) or [1]:
        start = max(column.values(), default=0) + 1 if level > 1 else 1
        for einsum in cascade.extended:
            if levels.get(einsum.name, 1) == level:
                sources = [column[a.tensor] for a in einsum.accesses if a.tensor in column]
                column[einsum.name] = max([start - 1, *sources]) + 1
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
            if tensor not in place:
                continue
            earlier = order.get(tensor, -1) >= order[einsum.name]
            (x0, y0), (x1, y1) = place[tensor], place[einsum.name]
            bend = 0.35 if earlier else (0.0 if y0 == y1 and x1 - x0 <= 1 else 0.12)
            start, end = ((x0, y0 + 0.28), (x1, y1 + 0.28)) if earlier else ((x0 + 0.4, y0), (x1 - 0.4, y1))
            if tensor == einsum.name:
                start, end, bend = (x0 - 0.2, y0 + 0.28), (x0 + 0.2, y0 + 0.28), 0.9
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
    axes.text(x, y - 0.1, name, ha="center", va="center", fontsize=9, fontweight="bold", zorder=3)
    axes.text(x, y + 0.13, text, ha="center", va="center", fontsize=5.5, zorder=3)


def _shorten(einsum: Einsum) -> str:
    """Return the right side of an Einsum, the indices that all its tensors share left out."""
    text = print_einsum(einsum).partition(" = ")[2]
    shared = set(einsum.output.variables)
    for access in einsum.accesses:
        shared &= set(access.variables)
    for variable in sorted(shared - set(einsum.reduced), key=len, reverse=True):
        if all(any(i.single == variable and i.offset == 0 for i in a.indices) for a in einsum.accesses):
            text = text.replace(f"[{variable},", "[").replace(f",{variable},", ",").replace(f",{variable}]", "]")
    return text if len(text) <= 38 else text[:36] + "..."
