"""Arithmetic in many digits, for what a finite field has no meaning for: logarithms of quotients, soft caps.

Equal to within 10^-40 of one is not equal, but no two formulas of a page that differ come so close at random inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from einsum_cascades.numerics import Arithmetic

__all__ = ["DIGITS", "PRECISE", "to_floats"]

Array = NDArray[Any]
DIGITS = 60
_MP = mpmath.MPContext()
_MP.dps = DIGITS


def _each(function: Callable[..., Any]) -> Callable[..., Array]:
    """Return a function of numbers as one of arrays of them."""
    vector = np.frompyfunc(function, 1, 1)

    def apply(values: Array) -> Array:
        return np.asarray(vector(values), dtype=object)

    return apply


def _lift(values: Array) -> Array:
    return _each(lambda x: _MP.mpf(float(x)))(np.asarray(values))


def _finite(values: Array) -> Array:
    """Return the values with 0 for -inf: what a running maximum is before its first element."""
    return _each(lambda x: _MP.mpf(0) if x == -_MP.inf else x)(values)


def _div(left: Array, right: Array) -> Array:
    empty = np.asarray(right == 0)
    return np.where(empty, _MP.mpf(0), left / np.where(empty, _MP.mpf(1), right))


def _log(x: Any) -> Any:
    if x > 0:
        return _MP.log(x)
    return -_MP.inf if x == 0 else _MP.nan


def _root(x: Any) -> Any:
    return _MP.sqrt(x) if x >= 0 else _MP.nan


def _mod(x: Any, y: Any) -> Any:
    divisor = y if y != 0 else _MP.mpf(1)
    return x - divisor * _MP.floor(x / divisor)


def _one(values: Array) -> Array:
    return np.full(values.shape, _MP.mpf(1), dtype=object)


def _fold(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def fold(*values: Array) -> Array:
        total = values[0]
        for value in values[1:]:
            total = function(total, value)
        return total

    return fold


_OPERATORS: Mapping[str, Callable[..., Array]] = {
    "add": _fold(np.add),
    "sub": lambda a, b: a - _finite(b),
    "mul": _fold(np.multiply),
    "div": _div,
    "max": _fold(np.maximum),
    "min": _fold(np.minimum),
    "neg": lambda a: -a,
    "exp": _each(_MP.exp),
    "log": _each(_log),
    "sqrt": _each(_root),
    "rsqrt": lambda a: _div(_one(a), _each(_root)(a)),
    "sq": lambda a: a * a,
    "abs": _each(abs),
    "tanh": _each(_MP.tanh),
    "sigmoid": _each(lambda x: 1 / (1 + _MP.exp(-x))),
    "relu": _each(lambda x: max(x, _MP.mpf(0))),
    "cos": _each(_MP.cos),
    "sin": _each(_MP.sin),
    "softplus": _each(lambda x: _MP.log(1 + _MP.exp(x))),
    "sign": _each(_MP.sign),
    "recip": lambda a: _div(_one(a), a),
    "floor": _each(_MP.floor),
    "mod": lambda a, b: np.asarray(np.frompyfunc(_mod, 2, 1)(a, b), dtype=object),
    "pow": lambda a, b: np.asarray(np.frompyfunc(lambda x, y: x**y, 2, 1)(a, b), dtype=object),
}
_REDUCE: Mapping[str, np.ufunc] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _reduce(operator: str, values: Array, axes: tuple[int, ...]) -> Array:
    total = np.asarray(values, dtype=object)
    for axis in axes:
        total = np.asarray(_REDUCE[operator].reduce(total, axis=axis, keepdims=True), dtype=object)
    return total


def _number(values: Array) -> Array:
    """Return values as float64: what is equal but for the last of many digits compares as equal."""
    array = np.asarray(values, dtype=object)
    return np.vectorize(float, otypes=[np.float64])(array) if array.size else np.zeros(array.shape)


PRECISE = Arithmetic(_lift, _OPERATORS, _reduce, lambda a, b: bool(np.array_equal(a, b)), _number)


def to_floats(values: Array) -> Array:
    """Return the magnitudes of numbers of many digits as float64."""
    return np.abs(_number(values))
