"""Decisions rather than times: among kernels measured on one problem, is the one that the model picks the best?

A model may be off by a tenth everywhere and still choose rightly, or be right on average and choose badly.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["PROBLEM", "choices", "name_faster", "pairs", "summarize"]

# what two rows share that time the same problem in the same way
PROBLEM = (
    *("card", "op", "dtype", "kv_dtype", "pass", "causal", "batch", "heads_q", "heads_kv"),
    *("head_dim", "head_dim_v", "seq_q", "seq_kv", "window", "timing"),
)
_APART = 1.1
_TIE = 1 + 1e-9


def _alternatives(frame: pd.DataFrame, predicted: str) -> pd.DataFrame:
    """Return the median of each kernel's rows on each problem that several kernels were measured on, by number `at`."""
    usable = frame[np.isfinite(frame[predicted].to_numpy(float))].reset_index(drop=True)
    problem = usable.groupby(list(PROBLEM), sort=False).ngroup().to_numpy()
    columns = {"time_ms": usable["time_ms"], "guess": usable[predicted], "kernel": usable["kernel"]}
    kernels = pd.DataFrame({"at": problem, **columns}).groupby(["at", "kernel"], sort=False).median().reset_index()
    kernels = kernels[kernels.groupby("at")["kernel"].transform("size") > 1]
    shapes = usable[list(PROBLEM)].assign(at=problem).drop_duplicates("at")
    return kernels.merge(shapes, on="at")


def choices(frame: pd.DataFrame, predicted: str = "predicted_s") -> pd.DataFrame:
    """Return for each problem with several measured kernels: how many, the one chosen, the best, and the `regret`.

    The regret is the measured time of the kernel with the least predicted time over that of the best, less 1; kernels
    whose predictions tie share it equally.

    >>> columns = dict.fromkeys(PROBLEM, 1)
    >>> rows = [columns | {"kernel": k, "time_ms": t, "predicted_s": p} for k, t, p in (("a", 2, 1), ("b", 1, 2))]
    >>> choices(pd.DataFrame(rows)).regret.tolist()
    [1.0]
    """
    table = _alternatives(frame, predicted)
    by_problem = table.groupby("at", sort=False)
    least, first = by_problem["guess"].transform("min"), by_problem["time_ms"].transform("min")
    tied = table[table["guess"] <= least * _TIE].groupby("at", sort=False)
    found = table[table["time_ms"] == first].drop_duplicates("at").set_index("at")
    chosen = tied["kernel"].agg("|".join)
    return found.assign(
        kernels=by_problem["kernel"].size(),
        chosen=chosen,
        best=found["kernel"],
        regret=tied["time_ms"].mean() / found["time_ms"] - 1,
    ).reset_index()[[*PROBLEM, "kernels", "chosen", "best", "regret"]]


def pairs(frame: pd.DataFrame, predicted: str = "predicted_s", apart: float = _APART) -> pd.DataFrame:
    """Return the pairs of kernels on one problem that differ by more than `apart`: their names, and `right`.

    `right` is 1 where the faster is named rightly, 0 where not, and one half where the predictions tie.
    """
    table = _alternatives(frame, predicted)
    both = table.merge(table[["at", "kernel", "time_ms", "guess"]], on="at", suffixes=("", "_slower"))
    both = both[both["time_ms_slower"] > apart * both["time_ms"]]
    tie = (both["guess"] <= both["guess_slower"] * _TIE) & (both["guess_slower"] <= both["guess"] * _TIE)
    right = np.where(tie, 0.5, (both["guess"] < both["guess_slower"]).astype(float))
    times = both["time_ms_slower"] / both["time_ms"]
    named = both.rename(columns={"kernel": "faster", "kernel_slower": "slower"}).assign(times=times, right=right)
    return named[[*PROBLEM, "faster", "slower", "times", "right"]].reset_index(drop=True)


def name_faster(found: pd.DataFrame) -> pd.DataFrame:
    """Return how often the faster of two kernels was named rightly, by pair of kernels, most pairs first."""
    grouped = found.groupby(["faster", "slower"], sort=False)["right"].agg(["size", "mean"]).reset_index()
    named = grouped.rename(columns={"size": "pairs", "mean": "right"})
    return named.sort_values(["pairs", "faster", "slower"], ascending=[False, True, True], ignore_index=True)


def summarize(frame: pd.DataFrame, predicted: str = "predicted_s") -> dict[str, float]:
    """Return problems, median and mean regret, the share chosen within 3 %, pairs, and the share named rightly."""
    chosen, named = choices(frame, predicted), pairs(frame, predicted)
    nothing = float("nan")
    return {
        "problems": len(chosen),
        "median_regret": float(chosen["regret"].median()) if len(chosen) else nothing,
        "mean_regret": float(chosen["regret"].mean()) if len(chosen) else nothing,
        "within_3_percent": float((chosen["regret"] <= 0.03).mean()) if len(chosen) else nothing,
        "pairs": len(named),
        "named_rightly": float(named["right"].mean()) if len(named) else nothing,
    }
