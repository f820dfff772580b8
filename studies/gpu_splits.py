"""Which rows teach and which judge: a split for interpolation, five for extrapolation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["SPLITS", "Fold", "make_folds"]

Array = np.ndarray[Any, np.dtype[Any]]
_SHAPE = ("op", "pass", "causal", "batch", "heads_q", "heads_kv", "head_dim", "head_dim_v", "seq_q", "seq_kv", "window")
_LONG = 8192
_LARGE_BATCH = 8
_KERNEL_GROUPS = 8


@dataclass(frozen=True, slots=True)
class Fold:
    """A part of a split: what was left out, the rows that teach, the rows that judge."""

    split: str
    left_out: str
    train: Array
    test: Array


def make_folds(frame: pd.DataFrame, split: str, fewest: float = 0.01) -> Iterator[Fold]:
    """Yield the folds of a split: one, or one for each value left out that has at least a share `fewest` of the rows.

    >>> table = pd.DataFrame({"batch": [1, 4, 16]})
    >>> [fold.test.tolist() for fold in make_folds(table, "larger batch")]
    [[False, False, True]]
    """
    chosen = SPLITS[split](frame)
    for value in pd.unique(chosen[chosen != ""]):
        test = chosen == value
        if test.mean() >= fewest and (~test).any():
            yield Fold(split, str(value), ~test, test)


def _random_half(frame: pd.DataFrame) -> Array:
    """Two halves, each judged by the other, by a hash of what each row is: the same in any order and any subset."""
    words = frame[["gpu", "kernel", "dtype", "kv_dtype", *_SHAPE, "time_ms"]].astype(str).agg("|".join, axis=1)
    odd = words.map(lambda word: hashlib.sha256(word.encode()).digest()[0] & 1).to_numpy() == 1
    return np.where(odd, "first", "second")


def _values(name: str) -> Callable[[pd.DataFrame], Array]:
    return lambda frame: frame[name].astype(str).to_numpy(object)


def _above(name: str, limit: int) -> Callable[[pd.DataFrame], Array]:
    return lambda frame: np.where(frame[name].to_numpy() > limit, f"above {limit}", "")


def _kernel_groups(frame: pd.DataFrame) -> Array:
    """Eight groups of kernels of like size; versions of one kernel, which share a schedule, stay together."""
    counts = frame["schedule"].value_counts()
    order = sorted(counts.index, key=lambda name: (-counts[name], name))
    group = {name: f"group {at % _KERNEL_GROUPS + 1}" for at, name in enumerate(order)}
    return frame["schedule"].map(group).to_numpy(object)


SPLITS: dict[str, Callable[[pd.DataFrame], Array]] = {
    "random half": _random_half,
    "unseen head dim": _values("head_dim"),
    "longer KV": _above("seq_kv", _LONG),
    "larger batch": _above("batch", _LARGE_BATCH),
    "unseen kernel": _kernel_groups,
    "unseen GPU": _values("card"),
}
