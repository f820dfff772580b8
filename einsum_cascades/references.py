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


def softmax_weights(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return A = softmax over the keys of (K^T Q), with one column per query."""
    return {"A": softmax(np.swapaxes(inputs["K"], -1, -2) @ inputs["Q"], -2)}


def _masked_attention(inputs: Mapping[str, Array], seen: Array) -> dict[str, Array]:
    """Return softmax attention where query p sees key m only if `seen[p, m]`."""
    scores = np.swapaxes(inputs["Q"], -1, -2) @ inputs["K"]
    weights = softmax(np.where(seen, scores, -np.inf), -1)
    return {"AV": np.swapaxes(weights @ np.swapaxes(inputs["V"], -1, -2), -1, -2)}


def _distance(inputs: Mapping[str, Array]) -> Array:
    """Return how many positions query p stands behind key m, one row per query."""
    queries, keys = inputs["Q"].shape[-1], inputs["K"].shape[-1]
    return np.arange(queries)[:, None] - np.arange(keys)[None, :]


def causal_attention(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return softmax attention in which a query sees no later key."""
    return _masked_attention(inputs, _distance(inputs) >= 0)


def window_attention(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return softmax attention in which a query sees its own key and the W - 1 before it."""
    distance = _distance(inputs)
    return _masked_attention(inputs, (distance >= 0) & (distance < extents["W"]))


def neighborhood_attention(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return softmax attention in a window of L + R keys, L of them before the query, shifted inside at the borders."""
    tokens, width = inputs["K"].shape[-1], extents["L"] + extents["R"]
    start = np.clip(np.arange(inputs["Q"].shape[-1]) - extents["L"], 0, max(0, tokens - width))[:, None]
    keys = np.arange(tokens)
    return _masked_attention(inputs, (keys >= start) & (keys < start + width))


def strided_window_attention(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return causal attention in which groups of G queries share a start: W keys before the end of the group."""
    q, keys, stride = inputs["Q"], inputs["K"].shape[-1], extents["G"]
    queries = np.arange(q.shape[-2] * stride)[:, None]
    start = (queries // stride + 1) * stride - extents["W"]
    seen = (np.arange(keys) >= start) & (np.arange(keys) <= queries)
    found = _masked_attention({**inputs, "Q": q.reshape(*q.shape[:-2], -1)}, seen)["AV"]
    return {"AV": found.reshape(*found.shape[:-1], *q.shape[-2:])}


def grouped_query_attention(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return softmax attention with each head of K and V repeated for its group of query heads."""
    groups = inputs["Q"].shape[2]
    repeated = {name: np.repeat(inputs[name][:, :, None], groups, axis=2) for name in ("K", "V")}
    return softmax_attention({"Q": inputs["Q"], **repeated}, extents)


def latent_attention(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return latent attention in its unabsorbed form: keys and values of every head made from the latent first."""
    latent = inputs["C"][:, None]
    keys = np.swapaxes(inputs["UK"], -1, -2) @ latent
    values = inputs["UV"] @ latent
    turned = np.repeat(inputs["KR"][:, None], keys.shape[1], axis=1)
    q = np.concatenate([inputs["Q"], inputs["QR"]], axis=2)
    k = np.concatenate([keys, turned], axis=2)
    return {"O": softmax_attention({"Q": q, "K": k, "V": values}, extents)["AV"]}


def cross_attention(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return softmax attention of queries projected from X over keys and values projected from Y."""
    x, y = inputs["X"][:, None], inputs["Y"][:, None]
    made = {"Q": x @ inputs["WQ"], "K": y @ inputs["WK"], "V": y @ inputs["WV"]}
    return softmax_attention({name: np.swapaxes(a, -1, -2) for name, a in made.items()}, extents)


def residual_attention(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return X plus the softmax attention of X over itself."""
    x = inputs["X"]
    q, k, v = (x @ inputs[w] for w in ("WQ", "WK", "WV"))
    return {"Z": softmax(q @ np.swapaxes(k, -1, -2), -1) @ v + x}


def rmsnorm_product(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return (X / rms(X) * G) W, the mean square over the features with 1e-6 added."""
    x = inputs["X"]
    return {"Z": (x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6) * inputs["G"]) @ inputs["W"]}


def layernorm_product(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return ((X - mean) / std * G + C) W, the variance over the features with 1e-6 added."""
    x = inputs["X"]
    spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-6)
    return {"Z": ((x - x.mean(axis=1, keepdims=True)) / spread * inputs["G"] + inputs["C"]) @ inputs["W"]}


def prefix_sum(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return the inclusive prefix sum of A."""
    return {"Z": np.cumsum(inputs["A"])}


def product_of_sums(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return (sum of A B) times (sum of A)."""
    return {"Z": np.asarray((inputs["A"] @ inputs["B"]) * inputs["A"].sum())}


def matrix_product(inputs: Mapping[str, Array], extents: Mapping[str, int]) -> dict[str, Array]:
    """Return Z = X W."""
    return {"Z": inputs["X"] @ inputs["W"]}


REFERENCES: dict[str, Reference] = {
    function.__name__: function
    for function in (
        matrix_product,
        softmax_attention,
        softmax_weights,
        causal_attention,
        window_attention,
        neighborhood_attention,
        strided_window_attention,
        grouped_query_attention,
        latent_attention,
        cross_attention,
        residual_attention,
        rmsnorm_product,
        layernorm_product,
        prefix_sum,
        product_of_sums,
    )
}
