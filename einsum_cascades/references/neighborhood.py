"""Neighborhood attention: windows that are shifted inside at the borders, strides, dilation."""

from __future__ import annotations

import numpy as np

from einsum_cascades.references.common import Extents, Inputs, Outputs, masked_attention

__all__ = [
    "generalized_neighborhood_attention",
    "neighborhood_attention",
    "strided_window_attention",
]


def neighborhood_attention(inputs: Inputs, extents: Extents) -> Outputs:
    """Return softmax attention in a window of L + R keys, L of them before the query, shifted inside at the borders."""
    tokens, width = inputs["K"].shape[-1], extents["L"] + extents["R"]
    start = np.clip(np.arange(inputs["Q"].shape[-1]) - extents["L"], 0, max(0, tokens - width))[:, None]
    keys = np.arange(tokens)
    return masked_attention(inputs, (keys >= start) & (keys < start + width))


def strided_window_attention(inputs: Inputs, extents: Extents) -> Outputs:
    """Return causal attention in which groups of G queries share a start: W keys before the end of the group."""
    q, keys, stride = inputs["Q"], inputs["K"].shape[-1], extents["G"]
    queries = np.arange(q.shape[-2] * stride)[:, None]
    start = (queries // stride + 1) * stride - extents["W"]
    seen = (np.arange(keys) >= start) & (np.arange(keys) <= queries)
    found = masked_attention({**inputs, "Q": q.reshape(*q.shape[:-2], -1)}, seen)["AV"]
    return {"AV": found.reshape(*found.shape[:-1], *q.shape[-2:])}


def generalized_neighborhood_attention(inputs: Inputs, extents: Extents) -> Outputs:
    """Return softmax attention over a map of any number of dimensions, each with window, stride and dilation."""
    dims = [name[1:] for name in extents if name[0] == "W" and name != "W"]
    counts = [extents[d] for d in dims]
    seen = np.ones((1, 1), dtype=bool)
    for dim in dims:
        along = np.zeros((extents[dim],) * 2, dtype=bool)
        for query in range(extents[dim]):
            along[query, _window(query, *(extents[p + dim] for p in ("", "W", "S", "D")))] = True
        seen = np.kron(seen, along).astype(bool)
    flat = {name: inputs[name].reshape(*inputs[name].shape[:3], -1) for name in "QKV"}
    found = masked_attention(flat, seen)["AV"]
    return {"AV": found.reshape(*found.shape[:3], *counts)}


def _window(query: int, tokens: int, width: int, stride: int, dilation: int) -> list[int]:
    """Return the keys of a query along one dimension: the window of the leader of its stride group."""
    group = list(range(query % dilation, tokens, dilation))
    place = group.index(query)
    leader = min(place - place % stride + stride // 2, len(group) - 1)
    start = sorted((0, leader - width // 2, len(group) - width))[1]
    return group[start : start + width]
