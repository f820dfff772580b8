"""Computing with a cascade in NumPy: slow, plain, and the meaning of the language.

An element of a tensor may be absent: outside the predicates of the Einsum that makes it, or past the end of a ragged
last tile. A point where an operand is absent is not computed, except that `add`, `max` and `min` take the other one
(union) and `sub` takes its left operand. A reduction skips absent points. Absent elements of an output are 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascades.diagnostics import Problem, SpecError, suggest
from einsum_cascades.extents import resolve_extents
from einsum_cascades.generations import Loop, Step, schedule
from einsum_cascades.ir import (
    Access,
    Affine,
    Call,
    Cascade,
    Einsum,
    Expr,
    Number,
    Predicate,
    Stop,
    Symbol,
    rank_of,
)
from einsum_cascades.numerics import EMPTY, FLOATS, Arithmetic, merge_presence

__all__ = ["evaluate", "run"]

Array = NDArray[Any]
_Value = tuple[Array, Array | None]


@dataclass(slots=True)
class _Tensor:
    """Values, and which of them are there; None where all are."""

    values: Array
    present: Array | None


@dataclass(frozen=True, slots=True)
class _Space:
    """The points of an Einsum: one axis per variable, the coordinates along it, and all extents."""

    axes: Mapping[str, int]
    coordinates: Mapping[str, Array]
    extents: Mapping[str, int]


def run(
    cascade: Cascade,
    inputs: Mapping[str, Array],
    extents: Mapping[str, int],
    operators: Mapping[str, Callable[..., Array]] | None = None,
) -> dict[str, Array]:
    """Return the outputs of a cascade by name, computed in float64.

    `inputs` maps the name of each input to an array with one axis per rank; `extents` gives the extents that the
    shapes do not, and those of factors. A factor that does not divide makes a ragged last tile. `operators` gives
    the operators that the cascade declares without a body, as functions of arrays. Raises SpecError when an input is
    missing, unknown, or of another shape, or an operator is missing.

    >>> from einsum_cascades.parser import parse
    >>> c = parse("cascade dot\\nextent K\\ninput A[K] B[K]\\noutput Z[]\\nZ[] = A[k] * B[k]")
    >>> run(c, {"A": np.arange(3.0), "B": np.ones(3)}, {})["Z"]
    array(3.)
    """
    every = evaluate(cascade, inputs, extents, operators)
    return {t.name: every[t.name] for t in cascade.outputs}


def evaluate(
    cascade: Cascade,
    inputs: Mapping[str, Array],
    extents: Mapping[str, int],
    operators: Mapping[str, Callable[..., Array]] | None = None,
    arithmetic: Arithmetic = FLOATS,
) -> dict[str, Array]:
    """Return every tensor of a cascade, inputs and intermediates too, in any arithmetic; as `run` in all else."""
    missing = [d for d in cascade.definitions if d.body is None and d.name not in (operators or {})]
    if missing:
        raise SpecError(Problem(f"operator {d.name} has no body and no function is given", d.span) for d in missing)
    arrays = {name: arithmetic.lift(np.asarray(value, dtype=np.float64)) for name, value in inputs.items()}
    known = _extents(cascade, arrays, extents)
    tensors = {name: _Tensor(value, None) for name, value in arrays.items()}
    for einsum in cascade.einsums:
        if einsum.name not in tensors:
            tensors[einsum.name] = _allocate(cascade, einsum.name, known, arithmetic)
    with np.errstate(all="ignore"):
        engine = _Engine(cascade, tensors, known, arithmetic, {**arithmetic.operators, **(operators or {})})
        for step in schedule(cascade):
            engine.execute(step, {})
    zero = arithmetic.lift(np.array(0.0))
    return {name: t.values if t.present is None else np.where(t.present, t.values, zero) for name, t in tensors.items()}


def _extents(cascade: Cascade, arrays: Mapping[str, Array], given: Mapping[str, int]) -> dict[str, int]:
    """Return all extents from those given and the shapes of the inputs; check that they agree."""
    names = [t.name for t in cascade.inputs]
    problems = [
        Problem(f"'{name}' is not an input of {cascade.name}", hint=suggest(name, names))
        for name in arrays
        if name not in names
    ]
    problems += [Problem(f"the input {name} is missing") for name in names if name not in arrays]
    if problems:
        raise SpecError(problems)
    found = dict(given)
    for tensor in cascade.inputs:
        shape = arrays[tensor.name].shape
        if len(shape) != len(tensor.ranks):
            ranks = ",".join(tensor.ranks)
            raise SpecError(f"{tensor.name} has {len(shape)} axes, but its ranks are [{ranks}]")
        for rank, extent in zip(tensor.ranks, shape, strict=True):
            if found.setdefault(rank, extent) != extent:
                problems.append(Problem(f"{tensor.name} has extent {extent} along {rank}, but {rank}={found[rank]}"))
    if problems:
        raise SpecError(problems)
    return resolve_extents(cascade, found, ragged=True)


def _allocate(cascade: Cascade, name: str, extents: Mapping[str, int], arithmetic: Arithmetic) -> _Tensor:
    """Return a tensor without any element; an iterative rank has a coordinate more per step it is written ahead."""
    tensor = cascade.tensor(name)
    shape = [extents[rank] for rank in tensor.ranks]
    for position in cascade.generations.get(name, ()):
        offsets = [e.output.indices[position].offset for e in cascade.extended if e.name == name]
        shape[position] += max([1, *offsets])
    return _Tensor(arithmetic.lift(np.zeros(shape)), np.zeros(shape, dtype=bool))


@dataclass(frozen=True, slots=True)
class _Engine:
    """The tensors as they stand, and what is needed to compute the next one."""

    cascade: Cascade
    tensors: dict[str, _Tensor]
    extents: Mapping[str, int]
    arithmetic: Arithmetic
    operators: Mapping[str, Callable[..., Array]]

    def execute(self, step: Step, fixed: Mapping[str, int]) -> None:
        """Run one step of the schedule, `fixed` being the generation of each loop around it."""
        if isinstance(step, Einsum):
            self.compute(step, fixed)
            return
        count = self.extents[rank_of(step.variable)]
        for generation in reversed(range(count)) if step.backward else range(count):
            at = {**fixed, step.variable: generation}
            for inner in step.steps:
                self.execute(inner, at)
            if any(self.holds(stop, step.variable, at) for stop in self.cascade.stops):
                self.repeat(step, generation)
                return

    def holds(self, stop: Stop, variable: str, at: Mapping[str, int]) -> bool:
        """Say whether a stop that watches this loop holds after a generation of it."""
        sides = [stop.left] if stop.right is None else [stop.left, stop.right]
        names = tuple(dict.fromkeys(v for side in sides for v in side.variables))
        if variable not in names:
            return False
        space = self.space(names, at)
        (left, there), *other = [_read(side, self.tensors[side.tensor], space) for side in sides]
        if not other:
            return there is not None and not there.any()
        return self.arithmetic.equal(left, other[0][0])

    def repeat(self, loop: Loop, generation: int) -> None:
        """Let every later generation of a loop that has stopped be as the last one made."""
        for einsum in (s for s in loop.steps if isinstance(s, Einsum)):
            for position in self.cascade.generations.get(einsum.name, ()):
                index = einsum.output.indices[position]
                if index.single != loop.variable:
                    continue
                last, tensor = generation + index.offset, self.tensors[einsum.name]
                for array in (tensor.values, tensor.present):
                    if array is not None:
                        along = np.moveaxis(array, position, 0)
                        rest = slice(0, last) if loop.backward else slice(last + 1, None)
                        along[rest] = along[last]

    def space(self, variables: tuple[str, ...], fixed: Mapping[str, int]) -> _Space:
        count = len(variables)
        axes = {v: axis for axis, v in enumerate(variables)}
        points = {v: np.array([fixed[v]]) if v in fixed else np.arange(self.extents[rank_of(v)]) for v in variables}
        coordinates = {v: points[v].reshape([-1 if axes[v] == a else 1 for a in range(count)]) for v in variables}
        return _Space(axes, coordinates, self.extents)

    def compute(self, einsum: Einsum, fixed: Mapping[str, int]) -> None:
        """Evaluate one Einsum at all of its points, but for the variables that are `fixed`, and store the result."""
        space = self.space(einsum.variables, fixed)
        values, present = self.value(einsum.expr, space)
        for predicate in einsum.predicates:
            present = _both(present, _holds(predicate, space))
        # The tail of a ragged tile lies outside the tensor that is written, too.
        output = self.tensors[einsum.name]
        target = [_place(index, space) for index in einsum.output.indices]
        for place, extent in zip(target, output.values.shape, strict=True):
            if place.size and (place.max() >= extent or place.min() < 0):
                present = _both(present, (place >= 0) & (place < extent))
        shape = tuple(space.coordinates[v].size for v in einsum.variables)
        values, present = _reduce(einsum, space, (np.broadcast_to(values, shape), present), self.arithmetic)
        _store(output, target, values, present, len(einsum.reduced))

    def value(self, expr: Expr, space: _Space, bound: Mapping[str, _Value] | None = None) -> _Value:
        """Return the values of an expression over the points, and where it has one; `bound` are parameters."""
        one = (1,) * len(space.axes)
        match expr:
            case Number(value):
                return self.arithmetic.lift(np.full(one, value)), None
            case Symbol(name):
                if bound is not None and name in bound:
                    return bound[name]
                known = space.extents.get(name)
                number = space.coordinates[name].astype(np.float64) if known is None else np.full(one, 1.0 * known)
                return self.arithmetic.lift(number), None
            case Access():
                return _read(expr, self.tensors[expr.tensor], space)
            case Call(operator, arguments):
                parts = [self.value(a, space, bound) for a in arguments]
                own = next((d for d in self.cascade.definitions if d.name == operator), None)
                if own is not None and own.body is not None:
                    return self.value(own.body, space, dict(zip(own.parameters, parts, strict=True)))
                empty = self.arithmetic.lift(np.array(EMPTY.get(operator, 0.0)))
                values = [v if p is None else np.where(p, v, empty) for v, p in parts]
                return self.operators[operator](*values), merge_presence(operator, [p for _, p in parts])
        raise TypeError(f"not an expression: {expr!r}")


def _reduce(einsum: Einsum, space: _Space, value: _Value, arithmetic: Arithmetic) -> _Value:
    """Reduce the variables that the output lacks, in the order in which the reductions are written."""
    values, present = value
    left = list(einsum.reduced)
    if present is not None:
        present = np.broadcast_to(present, values.shape)
    stages = [(r.operator, r.variables or tuple(left)) for r in einsum.reductions] or [("add", tuple(left))]
    for operator, names in stages:
        axes = tuple(space.axes[v] for v in names)
        if not axes:
            continue
        if present is None:
            values = arithmetic.reduce(operator, values, axes)
        else:
            empty = arithmetic.lift(np.array(EMPTY[operator]))
            values = arithmetic.reduce(operator, np.where(present, values, empty), axes)
            present = np.asarray(present.any(axis=axes, keepdims=True))
    return values, present


def _store(output: _Tensor, target: list[Array], values: Array, present: Array | None, reduced: int) -> None:
    """Write a result, whose reduced axes come last and are single, where the output's indices say."""
    outer = values.ndim - reduced
    values = values.reshape(values.shape[:outer])
    place = [t.reshape(t.shape[:outer]) for t in target]
    place = [np.broadcast_to(t, values.shape) for t in place]
    if present is None:
        output.values[tuple(place)] = values
        if output.present is not None:
            output.present[tuple(place)] = True
            if output.present.all():
                output.present = None
        return
    chosen = np.broadcast_to(present.reshape(present.shape[:outer]), values.shape)
    where = tuple(t[chosen] for t in place)
    if output.present is None:
        output.present = np.ones(output.values.shape, dtype=bool)
    output.values[where] = values[chosen]
    output.present[where] = True


def _both(first: Array | None, second: Array | None) -> Array | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second


def _place(index: Affine, space: _Space) -> Array:
    """Return the coordinate that an index names at each point."""
    total: Array = np.zeros((1,) * len(space.axes), dtype=np.int64)
    for term in index.terms:
        factor = term.coefficient
        for extent in term.extents:
            factor *= space.extents[extent]
        total = total + (factor if term.variable is None else factor * space.coordinates[term.variable])
    return total


_COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
    ">=": np.greater_equal,
    ">": np.greater,
}


def _holds(predicate: Predicate, space: _Space) -> Array:
    return _COMPARE[predicate.relation](_place(predicate.left, space), _place(predicate.right, space))


def _read(access: Access, tensor: _Tensor, space: _Space) -> tuple[Array, Array | None]:
    """Return the elements that an access names; those outside the tensor are absent."""
    present: Array | None = None
    places = []
    for index, extent in zip(access.indices, tensor.values.shape, strict=True):
        place = _place(index, space)
        if place.size and (place.min() < 0 or place.max() >= extent):
            present = _both(present, (place >= 0) & (place < extent))
            place = np.clip(place, 0, extent - 1)
        places.append(place)
    if not places:
        one = (1,) * len(space.axes)
        return tensor.values.reshape(one), None if tensor.present is None else tensor.present.reshape(one)
    values = tensor.values[tuple(places)]
    if tensor.present is not None:
        present = _both(present, tensor.present[tuple(places)])
    return values, present
