"""Measured attention rows for the studies: a sample that comes with the package, or the user's own files.

The sample holds facts that others measured and published, each row with its source and licence.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from einsum_cascades.diagnostics import StudyError
from simulator.targets.gpu.gate import judge_rows
from simulator.targets.gpu.measured import read_rows
from studies.gpu_baselines import add_features

__all__ = ["ENVIRONMENT", "SAMPLE", "find_data", "load_rows", "take_sample"]

ENVIRONMENT = "ATTNSIM_GPU_ROWS"
SAMPLE = Path(__file__).parent / "data" / "gpu_rows.csv"
_STRATA = ("card", "kernel", "op", "pass", "dtype", "causal")


def find_data(given: Path | None = None) -> tuple[Path, ...]:
    """Return the files that a study reads: those given, those of ATTNSIM_GPU_ROWS, or the sample.

    A folder stands for the CSV files in it. Raises StudyError where there is none.
    """
    chosen = given or (Path(text) if (text := os.environ.get(ENVIRONMENT)) else SAMPLE)
    if not chosen.is_dir():
        return (chosen,)
    found = tuple(sorted(chosen.glob("*.csv")))
    if not found:
        raise StudyError(f"{chosen}: holds no CSV file")
    return found


def load_rows(paths: Sequence[Path]) -> pd.DataFrame:
    """Return the usable rows of measured files: judged, with the card's data sheet, in order; `refused` are the others.

    Raises SpecError for a file that is wrong.
    """
    frames = []
    for path in paths:
        rows = read_rows(path)
        frames.append(rows.join(judge_rows(rows)).assign(file=path.name))
    frame = pd.concat(frames, ignore_index=True)
    usable = frame[frame["why"] == ""].reset_index(drop=True)
    return add_features(usable)


def take_sample(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return about `rows` rows that stand for all: some of each stratum, spread evenly over its times.

    A stratum is a card, kernel, operator, pass, type and mask; its share goes with the square root of its rows, so
    that a source of thousands does not drown one of ten.
    """
    groups = [part.sort_values("time_ms", kind="stable") for _, part in frame.groupby(list(_STRATA), sort=True)]
    weights = np.sqrt([len(part) for part in groups])
    scale = _fit_scale(weights, np.array([len(part) for part in groups]), rows)
    chosen = []
    for part, weight in zip(groups, weights, strict=True):
        count = min(len(part), int(weight * scale))
        chosen.append(part.iloc[np.unique(np.linspace(0, len(part) - 1, count + 2)[1:-1].round().astype(int))])
    return pd.concat(chosen).sort_index()


def _fit_scale(weights: np.ndarray, limits: np.ndarray, rows: int) -> float:
    """Return the largest factor of the weights with which no more than `rows` rows are taken, by halving."""
    low, high = 0.0, float(limits.max())
    for _ in range(60):
        middle = (low + high) / 2
        taken = np.minimum(limits, (weights * middle).astype(int)).sum()
        low, high = (middle, high) if taken <= rows else (low, middle)
    return low
