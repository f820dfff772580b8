"""Where the Einsums of a cascade work: predicates, those written and those inherited from absent operands.

`QK[m,p] = ... | m <= p` leaves the elements with m > p absent, so whatever multiplies or reduces them works on
`m <= p` too, whether or not its line repeats the predicate.
"""

from __future__ import annotations

from collections.abc import Mapping

from einsum_cascades.ir import Access, Affine, Call, Cascade, Einsum, Expr, Predicate, Term

__all__ = ["find_domains", "normalize"]

_UNION = ("add", "max", "min")


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
    support: dict[str, tuple[tuple[Predicate, ...], Access]] = {}
    found: dict[str, tuple[Predicate, ...]] = {}
    for einsum in cascade.extended:
        inherited = _support(einsum.expr, support)
        own = [normalize(p) for p in einsum.predicates]
        bounds = tuple(p for p in dict.fromkeys((*own, *inherited)) if p.left.terms)
        found[einsum.name] = bounds
        if einsum.name not in cascade.generations:
            support[einsum.name] = (_on_output(einsum, bounds), einsum.output)
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


def _on_output(einsum: Einsum, bounds: tuple[Predicate, ...]) -> tuple[Predicate, ...]:
    """Keep the predicates that speak of the output's variables alone."""
    return tuple(p for p in bounds if set(p.left.variables) <= set(einsum.output.variables))


def _support(expr: Expr, known: Mapping[str, tuple[tuple[Predicate, ...], Access]]) -> tuple[Predicate, ...]:
    """Return the predicates outside which an expression is absent."""
    match expr:
        case Access(tensor):
            if tensor not in known:
                return ()
            predicates, written = known[tensor]
            return tuple(moved for p in predicates if (moved := _move(p, written, expr)) is not None)
        case Call("sub", (left, _)):
            return _support(left, known)
        case Call(operator, arguments):
            parts = [_support(a, known) for a in arguments]
            if operator in _UNION:
                return tuple(p for p in parts[0] if all(p in other for other in parts[1:]))
            return tuple(dict.fromkeys(p for part in parts for p in part))
    return ()


def _move(predicate: Predicate, written: Access, read: Access) -> Predicate | None:
    """Restate a predicate on the variables that wrote a tensor in those that read it; None where they do not match."""
    value: dict[str, Affine] = {}
    for out, into in zip(written.indices, read.indices, strict=True):
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
