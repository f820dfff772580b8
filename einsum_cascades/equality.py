"""Does a cascade compute what it should? Run on random inputs, against a formula or against another cascade.

Two cascades are compared without rounding where that is possible: with whole numbers, in a finite field.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascades.diagnostics import Problem, SpecError
from einsum_cascades.exact import FIELD, PRIME, NotExact
from einsum_cascades.extents import find_number, resolve_extents
from einsum_cascades.interpret import evaluate, limit_of, run
from einsum_cascades.ir import Cascade, Symbol
from einsum_cascades.references import find_reference

__all__ = ["Equality", "compare_with_cascade", "compare_with_reference", "draw_extents", "draw_inputs"]

Array = NDArray[Any]
TOLERANCE = 1e-9
_TRIES = 2000


@dataclass(frozen=True, slots=True)
class Equality:
    """The outcome over all shapes and outputs: the largest error relative to the largest magnitude of an output.

    Of an exact comparison, which knows no distance, `max_error` is the largest share of elements that differ.
    """

    equal: bool
    method: str
    max_error: float
    shapes: tuple[Mapping[str, int], ...]


def draw_extents(cascade: Cascade, seed: int) -> dict[str, int]:
    """Return small extents that fit the declared products, with at least three tiles of a partitioned rank.

    With one tile a recurrence runs once and its corrections not at all, so that a wrong one would pass. Raises
    SpecError when no draw has what the cascade needs.
    """
    rng = np.random.default_rng(seed)
    for _ in range(_TRIES):
        try:
            return _draw_extents(cascade, rng)
        except SpecError as unmet:
            problem = unmet
    raise problem


def _draw_extents(cascade: Cascade, rng: np.random.Generator) -> dict[str, int]:
    made = {e.name for e in cascade.extents if e.factors}
    outer = {e.factors[0] for e in cascade.extents if len(e.factors) > 1} | set(cascade.iterative)
    drawn = {
        e.name: int(rng.integers(3, 6) if e.name in outer else rng.integers(1, 5))
        for e in cascade.extents
        if e.name not in made
    }
    for condition in cascade.needs:  # what equals an expression of the others is not left to chance
        if isinstance(condition.left, Symbol) and condition.relation == "==" and condition.left.name in drawn:
            with suppress(KeyError):
                drawn[condition.left.name] = int(find_number(condition.right, drawn))
    return resolve_extents(cascade, drawn)


def draw_inputs(cascade: Cascade, extents: Mapping[str, int], seed: int, *, whole: bool = False) -> dict[str, Array]:
    """Return random inputs: normal values, or `whole` ones in -5..5; coordinates where the text says so."""
    rng = np.random.default_rng(seed)
    found = {}
    for tensor in cascade.inputs:
        shape = [extents[r] for r in tensor.ranks]
        if tensor.within is not None:
            found[tensor.name] = rng.integers(0, limit_of(tensor, extents), size=shape).astype(float)
        else:
            found[tensor.name] = rng.integers(-5, 6, size=shape).astype(float) if whole else rng.normal(size=shape)
    return found


def compare_with_reference(
    cascade: Cascade, name: str | None = None, *, extents: Mapping[str, int] | None = None, rounds: int = 12
) -> Equality:
    """Return whether a cascade equals a named formula, that of its header line by default, on random inputs.

    Raises SpecError when the cascade names no reference, or one that does not exist or has other outputs.
    """
    name = name or cascade.reference
    if name is None:
        raise SpecError(Problem(f"{cascade.name} names no reference", hint="add a line 'reference NAME'"))
    formula = find_reference(name)
    shapes = [dict(extents)] if extents else [draw_extents(cascade, seed) for seed in range(rounds)]
    shapes = [resolve_extents(cascade, shape, ragged=True) for shape in shapes]
    errors = []
    for seed, shape in enumerate(shapes):
        inputs = draw_inputs(cascade, shape, seed)
        try:
            expected = formula(inputs, shape)
        except KeyError as missing:
            raise SpecError(f"the reference {name} needs {missing}, which {cascade.name} does not have") from None
        errors.append(_error(run(cascade, inputs, shape), expected, cascade.name))
    return _outcome(f"float64 against {name}", errors, shapes)


def compare_with_cascade(
    first: Cascade, second: Cascade, *, extents: Mapping[str, int] | None = None, rounds: int = 12
) -> Equality:
    """Return whether two cascades with the same inputs and outputs compute the same, on random inputs.

    Exactly, where both consist of what a finite field knows; in float64 otherwise. Raises SpecError when their inputs
    or outputs differ.
    """
    for kind, mine, other in (("inputs", first.inputs, second.inputs), ("outputs", first.outputs, second.outputs)):
        if {(t.name, len(t.ranks)) for t in mine} != {(t.name, len(t.ranks)) for t in other}:
            raise SpecError(f"{first.name} and {second.name} have different {kind}")
    shapes = [_shared_extents(first, second, extents, seed) for seed in range(1 if extents else rounds)]
    try:
        errors = [_compare_exactly(first, second, shape, seed) for seed, shape in enumerate(shapes)]
        return _outcome(f"exact, modulo {PRIME}, against {second.name}", errors, shapes)
    except NotExact:
        errors = [_compare_floats(first, second, shape, seed) for seed, shape in enumerate(shapes)]
        return _outcome(f"float64 against {second.name}", errors, shapes)


def _own(cascade: Cascade, shape: Mapping[str, int]) -> dict[str, int]:
    return {name: extent for name, extent in shape.items() if name in _names(cascade)}


def _compare_floats(first: Cascade, second: Cascade, shape: Mapping[str, int], seed: int) -> float:
    inputs = draw_inputs(first, shape, seed)
    found, expected = (run(c, inputs, _own(c, shape)) for c in (first, second))
    return _error(found, expected, first.name)


def _compare_exactly(first: Cascade, second: Cascade, shape: Mapping[str, int], seed: int) -> float:
    inputs = draw_inputs(first, shape, seed, whole=True)
    found, expected = (evaluate(c, inputs, _own(c, shape), arithmetic=FIELD) for c in (first, second))
    names = [t.name for t in first.outputs]
    return max(float(np.mean(found[n]["residue"] != expected[n]["residue"])) for n in names)


def _names(cascade: Cascade) -> set[str]:
    return {e.name for e in cascade.extents}


def _shared_extents(first: Cascade, second: Cascade, given: Mapping[str, int] | None, seed: int) -> dict[str, int]:
    """Return extents of both: drawn for the one that partitions more, the rest of the other drawn after."""
    fine, coarse = sorted((first, second), key=lambda c: -len(c.extents))
    if given:
        shape = resolve_extents(fine, {n: x for n, x in given.items() if n in _names(fine)}, ragged=True)
    else:
        shape = draw_extents(fine, seed)
    known = {n: x for n, x in shape.items() if n in _names(coarse)}
    more = {n: x for n, x in (given or draw_extents(coarse, seed)).items() if n in _names(coarse) and n not in known}
    try:
        return shape | resolve_extents(coarse, known | more, ragged=True)
    except SpecError:
        # The drawn factors of the other do not make the shared whole; let its last factor follow from it.
        loose = {f for e in coarse.extents if e.name in known for f in e.factors[:1]}
        return shape | resolve_extents(coarse, known | {n: x for n, x in more.items() if n not in loose}, ragged=True)


def _error(found: Mapping[str, Array], expected: Mapping[str, Array], name: str) -> float:
    if set(found) - set(expected):
        missing = ", ".join(sorted(set(found) - set(expected)))
        raise SpecError(f"the reference of {name} does not give {missing}")
    errors = []
    for key, value in found.items():
        scale = max(1.0, float(np.abs(expected[key]).max(initial=0.0)))
        error = float(np.abs(value - expected[key]).max(initial=0.0)) / scale
        errors.append(error if np.isfinite(error) else np.inf)  # what is no number equals nothing
    return max(errors)


def _outcome(method: str, errors: Iterable[float], shapes: Iterable[Mapping[str, int]]) -> Equality:
    worst = max(errors)
    return Equality(bool(worst <= TOLERANCE), method, worst, tuple(shapes))
