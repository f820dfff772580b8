"""Arithmetic without rounding, so that two cascades that are algebraically equal compute the very same.

A value is a pair: the integer that it is, as long as it is one (before an `exp`), and its residue modulo a prime.
`exp(n)` is g^n for a generator g, `+ - * /` act in the field, `max` and `min` on the integers alone, and -inf becomes 0
under `exp`. Two different functions agree by chance only, with a probability of the order of their degree over the
prime at each random point (Schwartz, 1980; Zippel, 1979). What has no meaning there, such as `rsqrt`, is left
uninterpreted: some fixed function of the residue. What agrees then agrees for every such function; what does not may
still agree for the one that is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascades.numerics import Arithmetic

__all__ = ["FIELD", "PRIME", "UNINTERPRETED", "NotExact"]

Array = NDArray[Any]
PRIME = 2**31 - 1
_GENERATOR = 7  # of the multiplicative group modulo PRIME
_PAIR = np.dtype([("integer", np.float64), ("residue", np.int64)])
_EXACT = 2.0**53


class NotExact(Exception):
    """The cascade computes what has no meaning in the field: `exp` of an `exp`, the larger of two quotients."""


def _lift(values: Array) -> Array:
    """Return numbers (or infinities) as pairs; one that is not whole is a quotient, known by its residue alone."""
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    whole = ~finite | (values == np.rint(values))
    out = np.zeros(values.shape, dtype=_PAIR)
    out["integer"] = np.where(whole, values, np.nan)
    out["residue"] = np.where(finite & whole, values, 0).astype(np.int64) % PRIME
    for value in np.unique(values[~whole]):
        quotient = Fraction(float(value))
        residue = quotient.numerator * pow(quotient.denominator, -1, PRIME) % PRIME
        out["residue"] = np.where(values == value, residue, out["residue"])
    return out


def _pair(integer: Array, residue: Array) -> Array:
    out = np.zeros(np.broadcast_shapes(integer.shape, residue.shape), dtype=_PAIR)
    out["integer"] = np.where(np.abs(integer) < _EXACT, integer, np.where(np.isinf(integer), integer, np.nan))
    out["residue"] = residue % PRIME
    return out


def _integers(values: Array) -> Array:
    """Return the integers of an array of pairs. Raises NotExact when an element is known by its residue alone."""
    if np.isnan(values["integer"]).any():
        raise NotExact("an operator that needs the number itself is applied after exp or a division")
    return np.asarray(values["integer"])


def _power(base: Array, exponent: Array) -> Array:
    """Return base^exponent modulo PRIME by repeated squaring."""
    result = np.ones(np.broadcast_shapes(base.shape, exponent.shape), dtype=np.int64)
    base, exponent = np.broadcast_to(base, result.shape).copy(), np.broadcast_to(exponent, result.shape).copy()
    while exponent.any():
        result = np.where(exponent & 1, result * base % PRIME, result)
        base = base * base % PRIME
        exponent >>= 1
    return result


def _add(a: Array, b: Array) -> Array:
    return _pair(a["integer"] + b["integer"], a["residue"] + b["residue"])


def _sub(a: Array, b: Array) -> Array:
    integer = np.where(np.isneginf(b["integer"]), 0.0, b["integer"])
    return _pair(a["integer"] - integer, a["residue"] - b["residue"])


def _mul(a: Array, b: Array) -> Array:
    return _pair(a["integer"] * b["integer"], a["residue"] * b["residue"])


def _div(a: Array, b: Array) -> Array:
    inverse = _power(b["residue"], np.int64(PRIME - 2) + np.zeros(b.shape, np.int64))  # 0 for 0, as division by empty
    residue = a["residue"] * inverse
    return _pair(np.full(residue.shape, np.nan), residue)


def _exp(a: Array) -> Array:
    integer = _integers(a)
    finite = np.isfinite(integer)
    if (integer == np.inf).any():
        raise NotExact("exp of inf")
    exponent = np.where(finite, integer, 0).astype(np.int64) % (PRIME - 1)
    residue = np.where(finite, _power(np.full(exponent.shape, _GENERATOR, np.int64), exponent), 0)
    return _pair(np.full(residue.shape, np.nan), residue)


def _choose(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def choose(*values: Array) -> Array:
        total = _integers(values[0])
        for value in values[1:]:
            total = function(total, _integers(value))
        return _lift(total)

    return choose


def _scramble(salt: int) -> Callable[..., Array]:
    """Return a function of residues of a degree so high that it stands for any."""

    def function(*values: Array) -> Array:
        total = np.full(values[0].shape, salt, np.int64)
        for value in values:
            mixed = (total * 48271 + value["residue"]) % PRIME
            total = _power(mixed, np.full(mixed.shape, 1_000_000_007, np.int64))
        return _pair(np.full(total.shape, np.nan), total)

    return function


UNINTERPRETED = ("cos", "log", "pow", "rsqrt", "sigmoid", "sin", "softplus", "sqrt", "tanh")

_OPERATORS: Mapping[str, Callable[..., Array]] = {
    **{name: _scramble(17 + n) for n, name in enumerate(UNINTERPRETED)},
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "max": _choose(np.maximum),
    "min": _choose(np.minimum),
    "neg": lambda a: _sub(_lift(np.zeros(a.shape)), a),
    "sq": lambda a: _mul(a, a),
    "recip": lambda a: _div(_lift(np.ones(a.shape)), a),
    "relu": lambda a: _lift(np.maximum(_integers(a), 0.0)),
    "abs": lambda a: _lift(np.abs(_integers(a))),
    "sign": lambda a: _lift(np.sign(_integers(a))),
    "floor": lambda a: _lift(_integers(a)),
    "mod": lambda a, b: _lift(np.mod(_integers(a), np.where(_integers(b) == 0, 1.0, _integers(b)))),
    "exp": _exp,
}


def _reduce(operator: str, values: Array, axes: tuple[int, ...]) -> Array:
    """Return the reduction of pairs along axes, which are kept with extent 1."""
    if operator in ("max", "min"):
        chosen = np.maximum if operator == "max" else np.minimum
        return _lift(chosen.reduce(_integers(values), axis=axes, keepdims=True))
    if operator == "add":
        integer = values["integer"].sum(axis=axes, keepdims=True)
        return _pair(integer, values["residue"].sum(axis=axes, keepdims=True))
    total = values
    for axis in axes:
        parts = np.split(total, total.shape[axis], axis=axis)
        product = parts[0]
        for part in parts[1:]:
            product = _mul(product, part)
        total = product
    return total


FIELD = Arithmetic(_lift, _OPERATORS, _reduce, lambda a, b: bool(np.array_equal(a["residue"], b["residue"])), _integers)
