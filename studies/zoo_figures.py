"""Pictures of the zoo's claims: speed over length, latency over length, ceilings beside what was measured."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from studies.style import COLOURS, new_figure, short_extent

__all__ = ["draw_hip", "draw_lightning", "draw_sparse"]

_TOKENS = 4  # requests of the published table


def draw_lightning(table: pd.DataFrame) -> Figure:
    """Return tokens a second over the length: published points, predicted lines, the least time of the work dotted."""
    figure, (ax,) = new_figure(1, "Forward attention of one layer, batch 4, 32 heads of 128, A100", width=7, height=4.2)
    forward = table[table["pass"] == "fwd"]
    for name, label, colour in (
        ("lightning", "Lightning-2", COLOURS[3]),
        ("flash", "FlashAttention-2", COLOURS[4]),
    ):
        for column, style in (("_ms", "o"), ("_model_ms", "-"), ("_bound_ms", ":")):
            said = {"_ms": "published", "_model_ms": "predicted", "_bound_ms": "ceiling"}[column]
            speed = _TOKENS * forward.length / forward[name + column] * 1e3
            ax.plot(forward.length, speed, style, color=colour, label=f"{label}, {said}")
    ax.set(xscale="log", yscale="log", xlabel="tokens of a request", ylabel="tokens a second and layer")
    ax.set_xticks(list(forward.length), [short_extent(int(n)) for n in forward.length])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=8)
    return figure


def draw_hip(table: pd.DataFrame) -> Figure:
    """Return seconds over the length, dense and hierarchical with its search."""
    figure, (ax,) = new_figure(1, "Prefill attention of one layer, 32 heads of 128, RTX 4090", width=7, height=4.2)
    ax.plot(table.length, table.dense_s, color=COLOURS[4], marker="o", label="dense")
    ax.plot(table.length, table.search_s + table.attend_s, color=COLOURS[3], marker="o", label="hierarchical, 512 keys")
    ax.plot(table.length, table.search_s, color=COLOURS[2], linestyle="--", label="of which the search")
    ax.set(xscale="log", yscale="log", xlabel="tokens", ylabel="seconds")
    ax.set_xticks(list(table.length), [short_extent(int(n)) for n in table.length])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=8)
    return figure


def draw_sparse(sharded: pd.DataFrame, video: pd.DataFrame) -> Figure:
    """Return ceilings, predictions and published speed-ups of sharded context and of the video model's layer."""
    figure, axes = new_figure(2, "What skipping keys gives: work, prediction, published", width=9, height=3.8)
    left, right = axes
    for column, label, colour in (
        ("ceiling", "work", COLOURS[0]),
        ("predicted", "predicted, A100", COLOURS[3]),
        ("published", "published", COLOURS[4]),
    ):
        left.plot(sharded.stride, sharded[column], marker="o", color=colour, label=label)
    left.set(xscale="log", yscale="log", xlabel="stride of far blocks", ylabel="speed-up", title="S2-Attention, 128K")
    left.set_xticks(list(sharded.stride), [str(n) for n in sharded.stride])
    right.plot(video.density, video.flop_ratio, marker="o", color=COLOURS[0], label="work of a layer")
    right.plot(video.density, video.layer_speedup, marker="o", color=COLOURS[3], label="predicted, H100")
    right.plot([video.density.iloc[1], video.density.iloc[3]], [1.48, 1.35], "o", color=COLOURS[4], label="published")
    right.set(xlabel="share of keys", title="VMoBA, 55296 tokens")
    ticks = [1, 2, 3, 5, 10, 20, 30]
    left.set_yticks(ticks, [f"{n}x" for n in ticks])
    for ax in axes:
        ax.minorticks_off()
        ax.legend(frameon=False, fontsize=8)
    return figure
