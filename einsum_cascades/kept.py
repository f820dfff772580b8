"""How many points predicates and conditions keep together.

A condition on coordinates alone, such as `m >= max(p - L, 0)`, is counted exactly when extents are given. One that
reads tensors keeps the share of points that it states, and all of them where it states none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

from einsum_cascades.domains import normalize, variables_of
from einsum_cascades.ir import (
    Affine,
    Call,
    Cascade,
    Condition,
    Definition,
    Expr,
    Number,
    Predicate,
    Symbol,
    Term,
    rank_of,
    reads,
)
from einsum_cascades.points import count_points, extent_of, root_of
from einsum_cascades.polynomial import Atom, Polynomial, number, symbol

__all__ = ["count_kept", "is_static"]

_BLOCK = 1 << 22  # points that are looked at in one go


def is_static(condition: Condition) -> bool:
    """Say whether a condition compares coordinates and extents alone."""
    return not any(map(reads, condition.sides))


def count_kept(
    cascade: Cascade, variables: Iterable[str], predicates: Iterable[Predicate], conditions: Iterable[Condition]
) -> Polynomial:
    """Return the points of the product of the variables' extents that predicates and conditions keep.

    Conditions that name other variables say nothing here; the densities of several are multiplied.

    >>> from einsum_cascades.parser import parse
    >>> c = parse("cascade t\\nextent M, P, K\\ninput S[M,P]\\noutput Z[P]\\nZ[p] = S[m,p] | S[m,p] > 0 ~ K/M")
    >>> str(count_kept(c, ("p", "m"), (), c.einsum("Z").conditions))
    'K*P'
    """
    names, bounds = list(variables), list(predicates)
    known = [c for c in conditions if set(variables_of(c)) <= set(names)]
    static = [c for c in known if is_static(c)]
    tied = _tied([v for c in static for v in variables_of(c)], bounds)
    held = [p for p in bounds if _touches(p, tied)]
    rest = [v for v in names if v not in tied]
    total = count_points(cascade, rest, [p for p in bounds if p not in held])
    if static:
        total = total * _enumerated(cascade, [v for v in names if v in tied], held, static)
    for condition in known:
        if not is_static(condition) and condition.density is not None:
            upper, lower = condition.density
            total = total * _term(cascade, upper) * _term(cascade, lower).reciprocal()
    return total


def _touches(predicate: Predicate, variables: Sequence[str]) -> bool:
    return any(v in variables for v in (*predicate.left.variables, *predicate.right.variables))


def _tied(variables: Iterable[str], predicates: Iterable[Predicate]) -> list[str]:
    """Return the variables and those that predicates tie to them."""
    tied = list(dict.fromkeys(variables))
    for variable in tied:
        for p in predicates:
            named = (*p.left.variables, *p.right.variables)
            tied += [v for v in dict.fromkeys(named) if variable in named and v not in tied]
    return tied


def _term(cascade: Cascade, term: Term) -> Polynomial:
    total = number(term.coefficient)
    for extent in term.extents:
        total = total * extent_of(cascade, extent)
    return total


def _enumerated(
    cascade: Cascade, variables: Sequence[str], predicates: Sequence[Predicate], conditions: Sequence[Condition]
) -> Polynomial:
    """Return an atom that counts points one by one when extents are given."""
    from einsum_cascades.printer import print_condition, print_predicate  # noqa: PLC0415

    bounds = [normalize(p) for p in predicates]
    texts = [*map(print_predicate, bounds), *map(print_condition, conditions)]
    ranks = {v: root_of(cascade, rank_of(v)) for v in variables}
    roots = {e.name: root_of(cascade, e.name) for e in cascade.extents}

    def count(extents: Mapping[str, int]) -> int:
        known = {name: extents[root] for name, root in roots.items() if root in extents}
        plain = [_open(c, cascade.definitions) for c in conditions]
        return _count(variables, {v: extents[r] for v, r in ranks.items()}, bounds, plain, known)

    return symbol(Atom(f"points({', '.join(variables)} | {', '.join(texts)})", count, _box(cascade, variables)))


def _open(condition: Condition, definitions: Iterable[Definition]) -> Condition:
    """Return a condition with the bodies of the cascade's own operators in place of their calls."""
    own = {d.name: d for d in definitions if d.body is not None}
    left, right = (_put(side, {}, own) for side in condition.sides)
    return Condition(left, condition.relation, right, condition.density, condition.span)


def _put(expr: Expr, values: Mapping[str, Expr], own: Mapping[str, Definition]) -> Expr:
    """Return an expression with its parameters replaced, and the calls of own operators opened."""
    match expr:
        case Symbol(name) if name in values:
            return values[name]
        case Call(operator, arguments):
            given = tuple(_put(a, values, own) for a in arguments)
            known = own.get(operator)
            if known is not None and known.body is not None:
                return _put(known.body, dict(zip(known.parameters, given, strict=True)), own)
            return Call(operator, given, expr.span)
    return expr


def _box(cascade: Cascade, variables: Iterable[str]) -> Polynomial:
    total = number(1)
    for v in variables:
        total = total * extent_of(cascade, rank_of(v))
    return total


def _count(
    variables: Sequence[str],
    limits: Mapping[str, int],
    predicates: Sequence[Predicate],
    conditions: Sequence[Condition],
    extents: Mapping[str, int],
) -> int:
    """Count the points that are kept, a block of the longest variable at a time."""
    import numpy as np  # noqa: PLC0415

    longest = max(variables, key=lambda v: limits[v])
    others = prod(limits[v] for v in variables if v != longest)
    step = max(1, _BLOCK // max(1, others))
    total = 0
    for start in range(0, limits[longest], step):
        at: dict[str, Any] = {}
        for axis, v in enumerate(variables):
            points = np.arange(start, min(start + step, limits[v])) if v == longest else np.arange(limits[v])
            at[v] = points.reshape([-1 if a == axis else 1 for a in range(len(variables))])
        kept = np.ones([x.size for x in at.values()], dtype=bool)
        for p in predicates:
            kept &= _compare(_affine(p.left, at, extents), p.relation, 0)
        for c in conditions:
            kept &= _compare(_value(c.left, at, extents), c.relation, _value(c.right, at, extents))
        total += int(kept.sum())
    return total


def _compare(left: Any, relation: str, right: Any) -> Any:
    from einsum_cascades.elements import COMPARE  # noqa: PLC0415

    return COMPARE[relation](left, right)


def _affine(index: Affine, at: Mapping[str, Any], extents: Mapping[str, int]) -> Any:
    total: Any = 0
    for term in index.terms:
        factor = term.coefficient * prod(extents[e] for e in term.extents)
        total = total + (factor if term.variable is None else factor * at[term.variable])
    return total


def _value(expr: Expr, at: Mapping[str, Any], extents: Mapping[str, int]) -> Any:
    from einsum_cascades.numerics import FLOATS  # noqa: PLC0415

    match expr:
        case Number(value):
            return value
        case Symbol(name):
            return extents[name] if name in extents else at[name]
        case Call(operator, arguments):
            import numpy as np  # noqa: PLC0415

            values = [np.asarray(_value(a, at, extents), dtype=np.float64) for a in arguments]
            return FLOATS.operators[operator](*values)
    raise TypeError(f"not an expression of coordinates: {expr!r}")
