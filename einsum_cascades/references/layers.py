"""What stands around attention: norms, projections, sums."""

from __future__ import annotations

import numpy as np

from einsum_cascades.references.common import Extents, Inputs, Outputs

__all__ = [
    "layernorm_product",
    "matrix_product",
    "prefix_sum",
    "product_of_sums",
    "rmsnorm_product",
]


def rmsnorm_product(inputs: Inputs, extents: Extents) -> Outputs:
    """Return (X / rms(X) * G) W, the mean square over the features with 1e-6 added."""
    x = inputs["X"]
    return {"Z": (x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6) * inputs["G"]) @ inputs["W"]}


def layernorm_product(inputs: Inputs, extents: Extents) -> Outputs:
    """Return ((X - mean) / std * G + C) W, the variance over the features with 1e-6 added."""
    x = inputs["X"]
    spread = np.sqrt(x.var(axis=1, keepdims=True) + 1e-6)
    return {"Z": ((x - x.mean(axis=1, keepdims=True)) / spread * inputs["G"] + inputs["C"]) @ inputs["W"]}


def prefix_sum(inputs: Inputs, extents: Extents) -> Outputs:
    """Return the inclusive prefix sum of A."""
    return {"Z": np.cumsum(inputs["A"])}


def product_of_sums(inputs: Inputs, extents: Extents) -> Outputs:
    """Return (sum of A B) times (sum of A)."""
    return {"Z": np.asarray((inputs["A"] @ inputs["B"]) * inputs["A"].sum())}


def matrix_product(inputs: Inputs, extents: Extents) -> Outputs:
    """Return Z = X W."""
    return {"Z": inputs["X"] @ inputs["W"]}
