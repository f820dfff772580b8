"""What several formulas share: the softmax, and attention under a mask; nothing here knows of Einsums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = Mapping[str, Array]
Extents = Mapping[str, int]
Outputs = dict[str, Array]


def softmax(scores: Array, axis: int) -> Array:
    """Return `exp(scores) / sum(exp(scores))` along an axis, shifted by the maximum; a row of -inf gives 0.

    >>> softmax(np.zeros(4), 0)
    array([0.25, 0.25, 0.25, 0.25])
    """
    top = scores.max(axis=axis, keepdims=True)
    weights = np.exp(scores - np.where(np.isfinite(top), top, 0.0))
    total = weights.sum(axis=axis, keepdims=True)
    return np.asarray(weights / np.where(total == 0, 1.0, total))


def masked_attention(inputs: Mapping[str, Array], seen: Array) -> dict[str, Array]:
    """Return softmax attention where query p sees key m only if `seen[p, m]`."""
    scores = np.swapaxes(inputs["Q"], -1, -2) @ inputs["K"]
    weights = softmax(np.where(seen, scores, -np.inf), -1)
    return {"AV": np.swapaxes(weights @ np.swapaxes(inputs["V"], -1, -2), -1, -2)}


def distance_of(inputs: Mapping[str, Array]) -> Array:
    """Return how many positions query p stands behind key m, one row per query."""
    queries, keys = inputs["Q"].shape[-1], inputs["K"].shape[-1]
    return np.arange(queries)[:, None] - np.arange(keys)[None, :]
