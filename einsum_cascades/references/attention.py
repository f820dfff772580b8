"""Softmax attention: plain, masked, grouped, latent, cross, with a residual."""

from __future__ import annotations

import numpy as np

from einsum_cascades.references.common import Extents, Inputs, Outputs, distance_of, masked_attention, softmax

__all__ = [
    "causal_attention",
    "cross_attention",
    "grouped_query_attention",
    "latent_attention",
    "residual_attention",
    "softmax_attention",
    "softmax_weights",
    "window_attention",
]


def softmax_attention(inputs: Inputs, extents: Extents) -> Outputs:
    """Return AV = softmax over the keys of (Q^T K), times V; without the factor 1/sqrt(E)."""
    q, k, v = inputs["Q"], inputs["K"], inputs["V"]
    scores = np.swapaxes(q, -1, -2) @ k
    return {"AV": np.swapaxes(softmax(scores, -1) @ np.swapaxes(v, -1, -2), -1, -2)}


def softmax_weights(inputs: Inputs, extents: Extents) -> Outputs:
    """Return A = softmax over the keys of (K^T Q), with one column per query."""
    return {"A": softmax(np.swapaxes(inputs["K"], -1, -2) @ inputs["Q"], -2)}


def causal_attention(inputs: Inputs, extents: Extents) -> Outputs:
    """Return softmax attention in which a query sees no later key."""
    return masked_attention(inputs, distance_of(inputs) >= 0)


def window_attention(inputs: Inputs, extents: Extents) -> Outputs:
    """Return softmax attention in which a query sees its own key and the W - 1 before it."""
    distance = distance_of(inputs)
    return masked_attention(inputs, (distance >= 0) & (distance < extents["W"]))


def grouped_query_attention(inputs: Inputs, extents: Extents) -> Outputs:
    """Return softmax attention with each head of K and V repeated for its group of query heads."""
    groups = inputs["Q"].shape[2]
    repeated = {name: np.repeat(inputs[name][:, :, None], groups, axis=2) for name in ("K", "V")}
    return softmax_attention({"Q": inputs["Q"], **repeated}, extents)


def latent_attention(inputs: Inputs, extents: Extents) -> Outputs:
    """Return latent attention in its unabsorbed form: keys and values of every head made from the latent first."""
    latent = inputs["C"][:, None]
    keys = np.swapaxes(inputs["UK"], -1, -2) @ latent
    values = inputs["UV"] @ latent
    turned = np.repeat(inputs["KR"][:, None], keys.shape[1], axis=1)
    q = np.concatenate([inputs["Q"], inputs["QR"]], axis=2)
    k = np.concatenate([keys, turned], axis=2)
    return {"O": softmax_attention({"Q": q, "K": k, "V": values}, extents)["AV"]}


def cross_attention(inputs: Inputs, extents: Extents) -> Outputs:
    """Return softmax attention of queries projected from X over keys and values projected from Y."""
    x, y = inputs["X"][:, None], inputs["Y"][:, None]
    made = {"Q": x @ inputs["WQ"], "K": y @ inputs["WK"], "V": y @ inputs["WV"]}
    return softmax_attention({name: np.swapaxes(a, -1, -2) for name, a in made.items()}, extents)


def residual_attention(inputs: Inputs, extents: Extents) -> Outputs:
    """Return X plus the softmax attention of X over itself."""
    x = inputs["X"]
    q, k, v = (x @ inputs[w] for w in ("WQ", "WK", "WV"))
    return {"Z": softmax(q @ np.swapaxes(k, -1, -2), -1) @ v + x}
