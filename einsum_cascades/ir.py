"""The values that a cascade is made of: frozen, complete when made, and equal when they mean the same text.

    Cascade  = Extent* Tensor* Definition* Einsum* Stop*
    Einsum   = Access "=" Expr Reduction* Predicate*          (an init Einsum runs once, before generation 0)
    Expr     = Number | Symbol | Access | Call(operator, Expr*)
    Access   = tensor "[" Affine* "]"
    Affine   = sum of coefficient * extent names * rank variable

A rank variable is the lower-case name of its rank: `m1` runs over rank `M1`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from einsum_cascades.diagnostics import Span
from einsum_cascades.ops import class_of, reduction_class, steps_of

__all__ = [
    "Access",
    "Affine",
    "Call",
    "Cascade",
    "Definition",
    "Einsum",
    "Expr",
    "Extent",
    "Number",
    "Predicate",
    "Reduction",
    "Role",
    "Stop",
    "Symbol",
    "Tensor",
    "Term",
    "rank_of",
    "reads",
    "walk",
]

Role = Literal["input", "output", "intermediate"]


def rank_of(variable: str) -> str:
    """Return the rank that a rank variable runs over.

    >>> rank_of("m1")
    'M1'
    """
    return variable.upper()


def _span() -> Span | None:
    return field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of an index: `coefficient` times the product of `extents` times `variable` (None: a constant)."""

    coefficient: int
    extents: tuple[str, ...] = ()
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class Affine:
    """An index that is a sum of terms: `m1*M0 + m0`, `i+1`, `0`, or the last coordinate `M1`; no term is zero."""

    terms: tuple[Term, ...]
    span: Span | None = _span()

    @property
    def variables(self) -> tuple[str, ...]:
        """The rank variables, in order of appearance."""
        return tuple(dict.fromkeys(t.variable for t in self.terms if t.variable is not None))

    @property
    def offset(self) -> int:
        """The sum of the plain integer terms."""
        return sum(t.coefficient for t in self.terms if t.variable is None and not t.extents)

    @property
    def single(self) -> str | None:
        """The rank variable `v` when the index is `v`, `v+c` or `v-c` with an integer c; else None."""
        moving = [t for t in self.terms if t.variable is not None or t.extents]
        if len(moving) == 1 and moving[0].coefficient == 1 and not moving[0].extents:
            return moving[0].variable
        return None

    @property
    def last(self) -> str | None:
        """The rank whose last coordinate this index is (`M1` in `RD[M1,p]`); None for any other index."""
        if len(self.terms) == 1 and self.terms[0].variable is None and self.terms[0].coefficient == 1:
            extents = self.terms[0].extents
            return extents[0] if len(extents) == 1 else None
        return None


@dataclass(frozen=True, slots=True)
class Access:
    """A tensor and one index per rank of it."""

    tensor: str
    indices: tuple[Affine, ...]
    span: Span | None = _span()

    @property
    def variables(self) -> tuple[str, ...]:
        """All rank variables of the indices, in order of appearance."""
        return tuple(dict.fromkeys(v for index in self.indices for v in index.variables))


@dataclass(frozen=True, slots=True)
class Number:
    """A literal; infinities are written `inf` and `-inf`."""

    value: float
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Symbol:
    """An extent (`E`) or a rank variable (`m`) used as a number."""

    name: str
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Call:
    """An operator of `ops.OPERATORS` applied to arguments; infix forms have the operator's name (`mul`)."""

    operator: str
    arguments: tuple[Expr, ...]
    span: Span | None = _span()


Expr = Number | Symbol | Access | Call


@dataclass(frozen=True, slots=True)
class Reduction:
    """`:: max(m0; union)`: the operator, the variables that it reduces (empty: all that remain), the merge."""

    operator: str
    variables: tuple[str, ...] = ()
    merge: str | None = None
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Predicate:
    """A comparison of coordinates that keeps a point: `m <= p`, `m > p - W`."""

    left: Affine
    relation: Literal["<", "<=", "==", "!=", ">=", ">"]
    right: Affine
    span: Span | None = _span()


@dataclass(frozen=True)
class Einsum:
    """One statement; its iteration space is the product of the extents of `variables`, cut by the predicates."""

    output: Access
    expr: Expr
    reductions: tuple[Reduction, ...] = ()
    predicates: tuple[Predicate, ...] = ()
    init: bool = False
    span: Span | None = _span()

    @property
    def name(self) -> str:
        """The tensor that it produces; unique among the Einsums that are not init lines."""
        return self.output.tensor

    @cached_property
    def accesses(self) -> tuple[Access, ...]:
        """The reads, in order of appearance."""
        return tuple(node for node in walk(self.expr) if isinstance(node, Access))

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The rank variables of the iteration space: the output's, then those that are reduced."""
        read = (v for access in self.accesses for v in access.variables)
        return tuple(dict.fromkeys((*self.output.variables, *read)))

    @cached_property
    def reduced(self) -> tuple[str, ...]:
        """The rank variables that the output lacks."""
        return tuple(v for v in self.variables if v not in self.output.variables)

    @cached_property
    def reduction_operators(self) -> tuple[str, ...]:
        """The operators that reduce, `add` where the text names none and a variable is reduced."""
        if self.reductions:
            return tuple(r.operator for r in self.reductions)
        return ("add",) if self.reduced else ()

    @cached_property
    def operations(self) -> Counter[str]:
        """Operations per point of the iteration space by class: `exp(A - B)` is one `sub` and one `exp`.

        What reads no tensor (`1 / sqrt(E)`) is a constant and costs nothing per point.
        """
        calls = (node for node in walk(self.expr) if isinstance(node, Call) and reads(node))
        count = Counter(
            class_of(node.operator) for node in calls for _ in range(steps_of(node.operator, len(node.arguments)))
        )
        count.update(reduction_class(op) for op in self.reduction_operators)
        return count


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield an expression and everything below it, left to right, parents first."""
    yield expr
    if isinstance(expr, Call):
        for argument in expr.arguments:
            yield from walk(argument)


def reads(expr: Expr) -> bool:
    """Say whether an expression reads any tensor; one that does not is a constant of its point."""
    return any(isinstance(node, Access) for node in walk(expr))


@dataclass(frozen=True, slots=True)
class Definition:
    """An operator of the user's own: `operator silu(x) = x * sigmoid(x)`; without a body it is opaque.

    In the body a parameter is a `Symbol`.
    """

    name: str
    parameters: tuple[str, ...]
    body: Expr | None = None
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Stop:
    """When generations end early: all elements of `left` equal those of `right`, or, without it, none is present."""

    left: Access
    right: Access | None = None
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Extent:
    """A declared rank or parameter; `factors` names the extents whose product it is (`M = M1 * M0`)."""

    name: str
    factors: tuple[str, ...] = ()
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor, the names of its ranks, and where it comes from."""

    name: str
    ranks: tuple[str, ...]
    role: Role
    span: Span | None = _span()


@dataclass(frozen=True)
class Cascade:
    """An algorithm: Einsums in order, over declared extents and tensors.

    `doc` is the first comment block of the text, `reference` the name of the NumPy formula that it must equal.
    """

    name: str
    extents: tuple[Extent, ...]
    tensors: tuple[Tensor, ...]
    einsums: tuple[Einsum, ...]
    doc: str = field(default="", compare=False)
    reference: str | None = None
    definitions: tuple[Definition, ...] = ()
    stops: tuple[Stop, ...] = ()

    @property
    def summary(self) -> str:
        """The first line of `doc`."""
        return self.doc.splitlines()[0] if self.doc else ""

    @cached_property
    def extended(self) -> tuple[Einsum, ...]:
        """The Einsums that are not init lines."""
        return tuple(e for e in self.einsums if not e.init)

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors given from outside."""
        return tuple(t for t in self.tensors if t.role == "input")

    @cached_property
    def outputs(self) -> tuple[Tensor, ...]:
        """The tensors that the cascade is computed for."""
        return tuple(t for t in self.tensors if t.role == "output")

    @cached_property
    def iterative(self) -> tuple[str, ...]:
        """The ranks along which some tensor is made generation by generation: `M1` of `RM[m1+1,p] = ...`."""
        ranks = (
            rank_of(index.single)
            for einsum in self.extended
            for position, index in enumerate(einsum.output.indices)
            if index.single is not None and position in self.generations.get(einsum.name, ())
        )
        return tuple(dict.fromkeys(ranks))

    @cached_property
    def generations(self) -> Mapping[str, tuple[int, ...]]:
        """The positions of the iterative ranks of each recurrent tensor.

        A position is iterative where the tensor is written at an offset (`RM[m1+1,p]`), or where an init line fixes a
        coordinate of a tensor that an Einsum then completes (`init T[I] = 0`, `T[i] = T[i+1] + A[i]`).
        """
        found: dict[str, set[int]] = {}
        completed = {e.name for e in self.extended}
        for einsum in self.einsums:
            for position, index in enumerate(einsum.output.indices):
                starts = einsum.init and not index.variables and einsum.name in completed
                if starts or (not einsum.init and index.single is not None and index.offset != 0):
                    found.setdefault(einsum.name, set()).add(position)
        return {name: tuple(sorted(positions)) for name, positions in found.items()}

    def tensor(self, name: str) -> Tensor:
        """Return the tensor called `name`; KeyError when there is none."""
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(name)

    def einsum(self, name: str) -> Einsum:
        """Return the Einsum (not an init line) that produces `name`; KeyError when there is none."""
        for einsum in self.extended:
            if einsum.name == name:
                return einsum
        raise KeyError(name)
