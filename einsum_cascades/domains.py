"""Where the Einsums of a cascade work: predicates and conditions, written and inherited from absent operands.

`QK[m,p] = ... | m <= p` leaves the elements with m > p absent, so whatever multiplies or reduces them works on
`m <= p` too, whether or not its line repeats the predicate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from einsum_cascades.ir import (
    Access,
    Affine,
    Call,
    Cascade,
    Condition,
    Einsum,
    Expr,
    Predicate,
    Symbol,
    Term,
    walk,
    walk_accesses,
)

__all__ = ["add", "find_conditions", "find_domains", "normalize", "scale", "variables_of"]

_UNION = ("add", "max", "min")


Written = tuple[tuple[Any, ...], Access]
Move = Callable[[Any, Access, Access], Any]


def find_domains(cascade: Cascade) -> dict[str, tuple[Predicate, ...]]:
    """Return the predicates that bound each Einsum that is not an init line, by its name, inherited ones included.

    >>> from einsum_cascades.parser import parse
    >>> c = parse('''cascade t
    ... extent M, P
    ... input A[M,P]
    ... output Z[P]
    ... B[m,p] = exp(A[m,p]) | m <= p
    ... Z[p] = B[m,p]''')
    >>> len(find_domains(c)["Z"])
    1
    """

    def own(einsum: Einsum) -> Iterable[Predicate]:
        return map(normalize, einsum.predicates)

    found = _inherit(cascade, own, _move, lambda predicate: predicate.left.variables)
    return {name: tuple(p for p in bounds if p.left.terms) for name, bounds in found.items()}


def find_conditions(cascade: Cascade) -> dict[str, tuple[Condition, ...]]:
    """Return the conditions that bound each Einsum that is not an init line, by its name, inherited ones included."""
    return _inherit(cascade, lambda einsum: einsum.conditions, _move_condition, variables_of)


def variables_of(condition: Condition) -> tuple[str, ...]:
    """Return the rank variables that a condition names."""
    nodes = [node for side in condition.sides for node in walk(side)]
    accesses = [v for side in condition.sides for a in walk_accesses(side) for v in a.variables]
    symbols = [n.name for n in nodes if isinstance(n, Symbol) and n.name != n.name.upper()]
    return tuple(dict.fromkeys((*symbols, *accesses)))


def _inherit(
    cascade: Cascade, own: Callable[[Einsum], Iterable[Any]], move: Move, names: Callable[[Any], Iterable[str]]
) -> dict[str, tuple[Any, ...]]:
    """Return the bounds of each Einsum: its own and those of what it reads; a tensor keeps those of its own ranks."""
    support: dict[str, Written] = {}
    found: dict[str, tuple[Any, ...]] = {}
    for einsum in cascade.extended:
        bounds = found[einsum.name] = tuple(dict.fromkeys((*own(einsum), *_support(einsum.expr, support, move))))
        if einsum.name not in cascade.generations and not einsum.selects:
            kept = tuple(b for b in bounds if set(names(b)) <= set(einsum.output.variables))
            support[einsum.name] = (kept, einsum.output)
    return found


def normalize(predicate: Predicate) -> Predicate:
    """Return the same comparison with everything on the left and 0 on the right, as `<=`, `==` or `!=`."""
    left, right, relation = predicate.left, predicate.right, predicate.relation
    if relation in (">", ">="):
        left, right = right, left
    difference = add(left, scale(right, -1))
    if relation in ("<", ">"):
        difference = add(difference, Affine((Term(1),)))
    kind = relation if relation in ("==", "!=") else "<="
    return Predicate(difference, kind, Affine(()), predicate.span)


def add(first: Affine, second: Affine) -> Affine:
    """Return the sum of two indices, like terms collected."""
    total: dict[tuple[tuple[str, ...], str | None], int] = {}
    for term in (*first.terms, *second.terms):
        key = (term.extents, term.variable)
        total[key] = total.get(key, 0) + term.coefficient
    return Affine(tuple(Term(c, extents, variable) for (extents, variable), c in total.items() if c), first.span)


def scale(index: Affine, factor: int, extents: tuple[str, ...] = ()) -> Affine:
    """Return a multiple of an index."""
    terms = (Term(t.coefficient * factor, tuple(sorted((*t.extents, *extents))), t.variable) for t in index.terms)
    return Affine(tuple(terms), index.span)


def _support(expr: Expr, known: Mapping[str, Written], move: Move) -> tuple[Any, ...]:
    """Return the bounds outside which an expression is absent."""
    match expr:
        case Access(tensor):
            if tensor not in known:
                return ()
            bounds, written = known[tensor]
            return tuple(moved for b in bounds if (moved := move(b, written, expr)) is not None)
        case Call("sub", (left, _)):
            return _support(left, known, move)
        case Call(operator, arguments):
            parts = [_support(a, known, move) for a in arguments]
            if operator in _UNION:
                return tuple(b for b in parts[0] if all(b in other for other in parts[1:]))
            return tuple(dict.fromkeys(b for part in parts for b in part))
    return ()


def _move(predicate: Predicate, written: Access, read: Access) -> Predicate | None:
    """Restate a predicate on the variables that wrote a tensor in those that read it; None where they do not match."""
    value: dict[str, Affine] = {}
    for out, into in zip(written.indices, read.indices, strict=True):
        if into.lookups:
            continue
        if out.single is not None:
            value[out.single] = add(into, Affine((Term(-out.offset),) if out.offset else ()))
        elif out.terms == into.terms:
            value.update({v: Affine((Term(1, (), v),)) for v in out.variables})
    total = Affine((), predicate.left.span)
    for term in predicate.left.terms:
        if term.variable is None:
            total = add(total, Affine((term,)))
        elif term.variable in value:
            total = add(total, scale(value[term.variable], term.coefficient, term.extents))
        else:
            return None
    return Predicate(total, predicate.relation, Affine(()), predicate.span)


def _move_condition(condition: Condition, written: Access, read: Access) -> Condition | None:
    """Restate a condition likewise; None where a variable is read at anything but a plain variable."""
    pairs = zip(written.indices, read.indices, strict=True)
    name = {
        o.single: i.single for o, i in pairs if o.single is not None and i.single is not None and o.offset == i.offset
    }
    if not set(variables_of(condition)) <= name.keys():
        return None
    left, right = (_rename(side, name) for side in condition.sides)
    return Condition(left, condition.relation, right, condition.density, condition.span)


def _rename(expr: Expr, name: Mapping[str, str]) -> Expr:
    """Return an expression with its rank variables called by other names."""
    match expr:
        case Symbol(symbol):
            return Symbol(name.get(symbol, symbol), expr.span)
        case Call(operator, arguments):
            return Call(operator, tuple(_rename(a, name) for a in arguments), expr.span)
        case Access():
            return _rename_access(expr, name)
    return expr


def _rename_access(access: Access, name: Mapping[str, str]) -> Access:
    indices = []
    for index in access.indices:
        terms = (
            Term(
                t.coefficient,
                t.extents,
                name.get(t.variable, t.variable) if t.variable is not None else None,
                _rename_access(t.lookup, name) if t.lookup is not None else None,
            )
            for t in index.terms
        )
        indices.append(Affine(tuple(terms), index.span))
    return Access(access.tensor, tuple(indices), access.span)
