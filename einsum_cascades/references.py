"""The formulas that the library's cascades must equal, written out in NumPy; nothing here knows of Einsums.

A reference takes the inputs by name and returns the outputs by name. Ranks stand in the order in which the cascades
declare them: `Q[B,H,E,P]`, `K[B,H,E,M]`, `V[B,H,F,M]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascades.diagnostics import SpecError, suggest

__all__ = ["REFERENCES", "find_reference"]

Array = NDArray[Any]
Reference = Callable[[Mapping[str, Array], Mapping[str, int]], dict[str, Array]]


def find_reference(name: str) -> Reference:
    """Return the formula called `name`. Raises SpecError, with a suggestion, when there is none."""
    if name not in REFERENCES:
        raise SpecError(f"unknown reference '{name}'" + (f": {hint}" if (hint := suggest(name, REFERENCES)) else ""))
    return REFERENCES[name]


def softmax(scores: Array, axis: int) -> Array:
    """Return `exp(scores) / sum(exp(scores))` along an axis, shifted by the maximum; a row of -inf gives 0.

    >>> softmax(np.zeros(4), 0)
    array([0.25, 0.25, 0.25, 0.25])
    """
    top = scores.max(axis=axis, keepdims=True)
    weights = np.exp(scores - np.where(np.isfinite(top), top, 0.0))
    total = weights.sum(axis=axis, keepdims=True)
    return np.asarray(weights / np.where(total == 0, 1.0, total))


def softmax_attention(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return AV = softmax over the keys of (Q^T K), times V; without the factor 1/sqrt(E)."""
    q, k, v = inputs["Q"], inputs["K"], inputs["V"]
    scores = np.swapaxes(q, -1, -2) @ k
    return {"AV": np.swapaxes(softmax(scores, -1) @ np.swapaxes(v, -1, -2), -1, -2)}


def matrix_product(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return Z = X W."""
    return {"Z": inputs["X"] @ inputs["W"]}


REFERENCES: dict[str, Reference] = {
    "matrix_product": matrix_product,
    "softmax_attention": softmax_attention,
}
