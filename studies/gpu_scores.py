"""How far predictions lie from measurements: four figures, over all rows and by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["count_covered", "score", "score_by"]

Array = np.ndarray[Any, np.dtype[Any]]


def score(predicted: Array, measured: Array) -> dict[str, float]:
    """Return `rows`, `mape`, `median_ape`, `mean_abs_ln` and `bias` of times; rows without a prediction do not count.

    `mape` and `median_ape` are of |p/m - 1|, `bias` is the mean of p/m - 1, `mean_abs_ln` of |ln(p/m)|: a predictor
    that is always low has a MAPE of at most 1, but no limit to its logarithm.

    >>> score(np.array([1.0, 2.0]), np.array([2.0, 2.0]))["mape"]
    0.25
    """
    good = np.isfinite(predicted)
    ratio = predicted[good] / measured[good]
    if not ratio.size:
        return {"rows": 0, **dict.fromkeys(("mape", "median_ape", "mean_abs_ln", "bias"), float("nan"))}
    off = np.abs(ratio - 1)
    return {
        "rows": int(ratio.size),
        "mape": float(off.mean()),
        "median_ape": float(np.median(off)),
        "mean_abs_ln": float(np.abs(np.log(ratio)).mean()),
        "bias": float(ratio.mean() - 1),
    }


def score_by(frame: pd.DataFrame, groups: Sequence[str], predicted: str = "predicted_s") -> pd.DataFrame:
    """Return the scores of the column `predicted` against `time_ms`, one row for each group in order of appearance."""
    rows = []
    for key, part in frame.groupby(list(groups), sort=False):
        found = score(part[predicted].to_numpy(float), part["time_ms"].to_numpy(float) / 1e3)
        if found["rows"]:
            rows.append({**dict(zip(groups, key, strict=True)), **found})
    return pd.DataFrame(rows)


def count_covered(low: Array, high: Array, measured: Array) -> float:
    """Return the share of measurements inside their interval, over the rows that have one.

    >>> count_covered(np.array([1.0, 1.0]), np.array([2.0, 2.0]), np.array([1.5, 3.0]))
    0.5
    """
    good = np.isfinite(low) & np.isfinite(high)
    inside = (low[good] <= measured[good]) & (measured[good] <= high[good])
    return float(inside.mean()) if good.any() else float("nan")
