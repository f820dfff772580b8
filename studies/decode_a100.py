"""How far off is the decode model on shapes that it has not seen?

FlashAttention-2 decode in vLLM on A100, 300 measured calls of 5431, or all of them with --data. Half of the (batch,
query heads, KV heads) triples fit the constants, the others judge them. Expected: within 13 % on all rows and 8 % where
the cache exceeds L2, where a roofline is 45 to 79 % off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from arch_specs.load_gpu import load_gpu
from einsum_cascades.diagnostics import StudyError
from simulator.targets.gpu.decode_fit import DecodeErrors, fit_decode, half_of_shapes, judge_decode
from simulator.targets.gpu.decode_times import DecodeKernel, lay_decode_columns, load_decode_kernel, predict_decode
from simulator.targets.gpu.measured import read_rows
from studies.study import Claim, Result, Say, Study
from studies.style import COLOURS, new_figure, short_extent
from studies.tables import read_table

__all__ = ["STUDY"]

_SOURCE = "aiconfigurator measured tables (Apache-2.0), a100_sxm, vLLM 0.14.0"
_COLUMNS = {"heads_q": "q_heads", "heads_kv": "kv_heads", "seq_kv": "kv_len"}
# Splits that leave a whole side of the range unseen: rows to fit on.
_HARD: dict[str, Callable[[pd.DataFrame], pd.Series[bool]]] = {
    "query heads <= 16": lambda rows: rows.q_heads <= 16,
    "batch <= 8": lambda rows: rows.batch <= 8,
    "keys <= 4096": lambda rows: rows.kv_len <= 4096,
}


def read_measured(path: Path) -> pd.DataFrame:
    """Return the decode rows of FlashAttention-2 on A100 of a file of measurements; StudyError when it has none."""
    rows = read_rows(path).rename(columns=_COLUMNS)
    chosen = (rows["pass"] == "decode") & (rows.kernel == "vllm_fa2") & rows.gpu.str.startswith("a100")
    rows = rows[chosen & (rows.kv_dtype == "bf16") & (rows.window == 0) & (rows.seq_q == 1)]
    if len(rows) < 40:
        raise StudyError(f"{path}: {len(rows)} decode rows of vllm_flash_attn on a100 in bf16; the study needs 40")
    return rows.assign(latency_us=rows.time_ms * 1e3).reset_index(drop=True)


def judge_splits(rows: pd.DataFrame) -> tuple[pd.DataFrame, DecodeKernel]:
    """Return the errors on each kind of left-out rows, and the kernel fitted on half of the shapes."""
    shipped = load_decode_kernel("fa2_a100")
    half = half_of_shapes(_columns(rows))
    fitted = fit_decode(shipped, _columns(rows[half]))
    found = [
        _row("shipped constants, left-out shapes", judge_decode(shipped, _columns(rows[~half]))),
        _row("fitted here, left-out shapes", judge_decode(fitted, _columns(rows[~half]))),
        _row("fitted here, its own rows", judge_decode(fitted, _columns(rows[half]))),
    ]
    for name, chosen in (("un-split", rows.q_heads == rows.kv_heads), ("split", rows.q_heads > rows.kv_heads)):
        found.append(
            _row(f"fitted here, left-out shapes, {name}", judge_decode(fitted, _columns(rows[chosen & ~half])))
        )
    for name, rule in _HARD.items():
        seen = rule(rows)
        kernel = fit_decode(shipped, _columns(rows[seen]))
        found.append(_row(f"fitted on {name}, judged beyond", judge_decode(kernel, _columns(rows[~seen]))))
    found.append(_row("roofline at rated bandwidth, left-out shapes", _judge_roofline(rows[~half], shipped)))
    return pd.DataFrame(found), fitted


def _columns(rows: pd.DataFrame) -> dict[str, object]:
    return {c: rows[c].to_numpy() for c in ("batch", "q_heads", "kv_heads", "kv_len", "head_dim", "latency_us")}


def _row(name: str, errors: DecodeErrors) -> dict[str, str | float]:
    """Return errors as a row, in percent to one decimal: what a fit is good for."""
    return {
        "judged": name,
        "rows": errors.rows,
        "mape_percent": round(100 * errors.mape, 1),
        "cold_rows": errors.cold_rows,
        "cold_mape_percent": round(100 * errors.cold_mape, 1),
        "cold_median_percent": round(100 * errors.cold_median, 1),
    }


def _judge_roofline(rows: pd.DataFrame, kernel: DecodeKernel) -> DecodeErrors:
    columns = lay_decode_columns(kernel, _columns(rows))
    error = np.abs(columns.kv_bytes / load_gpu("a100_sxm_80").dram_bytes_per_s / (rows.latency_us.to_numpy() / 1e6) - 1)
    cold = error[columns.kv_bytes > kernel.l2_bytes]
    return DecodeErrors(len(error), float(error.mean()), len(cold), float(cold.mean()), float(np.median(cold)))


def _claims(errors: pd.DataFrame, count: int) -> Iterator[Claim]:
    for row in errors.to_dict("records"):
        yield Claim(
            f"error, {row['judged']}, %",
            None,
            float(row["mape_percent"]),
            0.0,
            f"mean of {row['rows']} of {count} rows; high: of the {row['cold_rows']} whose cache exceeds L2",
            _SOURCE,
            None,
            float(row["cold_mape_percent"]),
        )


def _draw(rows: pd.DataFrame, kernel: DecodeKernel) -> Figure:
    """Return predicted over measured by length, un-split and split, shapes fitted and left out."""
    ratio = predict_decode(kernel, lay_decode_columns(kernel, _columns(rows))) * 1e6 / rows.latency_us.to_numpy()
    half = half_of_shapes(_columns(rows))
    figure, axes = new_figure(2, "Decode of FlashAttention-2 on A100: predicted over measured", height=4)
    plain = (rows.q_heads == rows.kv_heads).to_numpy()
    for ax, chosen, title in zip(axes, (plain, ~plain), ("un-split", "split by the kernel's rule"), strict=True):
        for side, colour, name in ((half, COLOURS[0], "fitted"), (~half, COLOURS[4], "left out")):
            some = chosen & side
            ax.plot(rows.kv_len[some], ratio[some], "o", markersize=3, color=colour, alpha=0.7, label=name)
        ax.axhline(1, color="#444444", linewidth=0.6)
        ax.set(xscale="log", xlabel="keys", ylim=(0.5, 1.5))
        ax.set_xticks([1 << n for n in range(1, 18, 4)], [short_extent(1 << n) for n in range(1, 18, 4)])
        ax.minorticks_off()
        ax.set_title(title, fontsize=10)
    axes[0].set_ylabel("predicted / measured")
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def _answer(rows: pd.DataFrame, say: Say) -> Result:
    say(f"decode_a100: {len(rows)} rows, {1 + len(_HARD)} fits")
    errors, kernel = judge_splits(rows)
    return Result({"decode_errors": errors}, {"decode_errors": _draw(rows, kernel)}, tuple(_claims(errors, len(rows))))


STUDY = Study(
    name="decode_a100",
    question="How far off is the decode model on shapes that it has not seen?",
    paper="measured tables of aiconfigurator; FlashAttention-2",
    analyze=lambda say: _answer(read_table("decode_a100"), say),
    analyze_data=lambda path, say: _answer(read_measured(path), say),
)
