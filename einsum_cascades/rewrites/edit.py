"""Tools of the rules: substitution, inlining, fresh names, and a legal order of the lines at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from einsum_cascades.build import build
from einsum_cascades.ir import (
    Access,
    Affine,
    Call,
    Cascade,
    Condition,
    Einsum,
    Expr,
    Extent,
    Number,
    Predicate,
    Symbol,
    Term,
    walk,
)
from einsum_cascades.verify import verify

__all__ = [
    "alive",
    "consumers",
    "flat",
    "fresh",
    "guarded_variables",
    "guards_over",
    "inline",
    "is_pointwise",
    "is_read_as_written",
    "map_accesses",
    "plain",
    "rebuild",
    "redirect",
    "shift",
    "substitute",
    "substitute_expr",
    "times",
    "variables_of",
]


def plain(variable: str, offset: int = 0) -> Affine:
    """Return the index `v` or `v+c`.

    >>> plain("m1", 1).offset
    1
    """
    terms = (Term(1, (), variable), Term(offset)) if offset else (Term(1, (), variable),)
    return Affine(terms)


def shift(index: Affine, by: int) -> Affine:
    """Return an index moved by a constant."""
    offset = index.offset + by
    moving = tuple(t for t in index.terms if t.variable is not None or t.extents)
    return Affine((*moving, Term(offset)) if offset else moving)


def flat(access: Access) -> tuple[Affine, ...]:
    """Return one index per variable of a written access: `m1`, `m0` for `m1*M0 + m0`."""
    return tuple(plain(v) for index in access.indices for v in index.variables)


def is_read_as_written(cascade: Cascade, einsum: Einsum) -> bool:
    """Say whether all that read a tensor do so at single variables, or tile by tile exactly as it is written."""
    reads = [a for e in cascade.einsums for a in e.accesses if a.tensor == einsum.name]
    pairs = [pair for a in reads for pair in zip(einsum.output.indices, a.indices, strict=True)]
    return all(written.single is not None or written == read for written, read in pairs)


def times(expr: Sequence[Expr]) -> Expr:
    """Return the product of at least one expression, from left to right."""
    total = expr[0]
    for factor in expr[1:]:
        total = Call("mul", (total, factor))
    return total


def substitute(index: Affine, by: Mapping[str, Affine]) -> Affine:
    """Return an index with each rank variable replaced; equal terms are collected, those that cancel vanish."""
    total: dict[Term, int] = {}
    for term in index.terms:
        new = by.get(term.variable) if term.variable is not None else None
        parts = (term,) if new is None else tuple(_scaled(t, term) for t in new.terms)
        for part in parts:
            lookup = part.lookup
            if lookup is not None:
                lookup = Access(lookup.tensor, tuple(substitute(i, by) for i in lookup.indices))
            key = Term(1, part.extents, part.variable, lookup)
            total[key] = total.get(key, 0) + part.coefficient
    return Affine(tuple(replace(term, coefficient=n) for term, n in total.items() if n))


def _scaled(term: Term, by: Term) -> Term:
    extents = tuple(sorted((*term.extents, *by.extents)))
    return Term(term.coefficient * by.coefficient, extents, term.variable, term.lookup)


def substitute_expr(expr: Expr, by: Mapping[str, Affine]) -> Expr:
    """Return an expression with its rank variables replaced, those used as numbers too."""
    match expr:
        case Access(tensor, indices):
            return Access(tensor, tuple(substitute(i, by) for i in indices))
        case Symbol(name) if name in by:
            return _number(by[name])
        case Call(operator, arguments):
            return Call(operator, tuple(substitute_expr(a, by) for a in arguments))
    return expr


def _number(index: Affine) -> Expr:
    """Return an index as an expression of numbers. Raises ValueError for a constant, which no rule substitutes."""
    parts: list[Expr] = []
    for term in index.terms:
        names: list[Expr] = [Symbol(n) for n in (*([term.variable] if term.variable else []), *term.extents)]
        if term.coefficient != 1 or not names:
            names.insert(0, Number(float(term.coefficient)))
        parts.append(times(names))
    total = parts[0]
    for part in parts[1:]:
        total = Call("add", (total, part))
    return total


def map_accesses(expr: Expr, change: Callable[[Access], Expr]) -> Expr:
    """Return an expression with every access replaced by what `change` makes of it."""
    match expr:
        case Access():
            return change(expr)
        case Call(operator, arguments):
            return Call(operator, tuple(map_accesses(a, change) for a in arguments))
    return expr


def redirect(einsum: Einsum, change: Callable[[Access], Access]) -> Einsum:
    """Return an Einsum with every access changed: in its expression, in lookups, in conditions."""

    def index(old: Affine) -> Affine:
        terms = (t if t.lookup is None else replace(t, lookup=access(t.lookup)) for t in old.terms)
        return Affine(tuple(terms))

    def access(old: Access) -> Access:
        return change(Access(old.tensor, tuple(index(i) for i in old.indices)))

    conditions = tuple(
        replace(c, left=map_accesses(c.left, access), right=map_accesses(c.right, access)) for c in einsum.conditions
    )
    return replace(einsum, expr=map_accesses(einsum.expr, access), conditions=conditions)


def guards_over(einsum: Einsum, variables: Iterable[str]) -> tuple[tuple[Predicate, ...], tuple[Condition, ...]]:
    """Return the predicates and conditions of an Einsum that name no other variables than these."""
    names = set(variables)
    predicates = tuple(p for p in einsum.predicates if {*p.left.variables, *p.right.variables} <= names)
    conditions = tuple(c for c in einsum.conditions if all(variables_of(side) <= names for side in c.sides))
    return predicates, conditions


def variables_of(expr: Expr) -> set[str]:
    """Return the rank variables of an expression, those used as numbers too."""
    inside = {v for node in walk(expr) if isinstance(node, Access) for v in node.variables}
    return inside | {n.name for n in walk(expr) if isinstance(n, Symbol) and n.name[0].islower()}


def guarded_variables(einsum: Einsum) -> set[str]:
    """Return the rank variables that the predicates and conditions of an Einsum name."""
    inside = {v for p in einsum.predicates for side in (p.left, p.right) for v in side.variables}
    return inside | {v for c in einsum.conditions for side in c.sides for v in variables_of(side)}


def is_pointwise(cascade: Cascade, name: str) -> bool:
    """Say whether a tensor is made point by point: no reduction, no generation, one variable per rank."""
    makers = [e for e in cascade.einsums if e.name == name]
    if len(makers) != 1 or makers[0].init or name in cascade.generations:
        return False
    (maker,) = makers
    return not maker.reduced and all(i.single is not None and i.offset == 0 for i in maker.output.indices)


def inline(cascade: Cascade, access: Access, reader: Einsum) -> Expr | None:
    """Return what a pointwise tensor is where it is read; None where that may mean another thing.

    A point outside the predicates and conditions of its Einsum is absent, so that these must hold where it is read.
    """
    if not is_pointwise(cascade, access.tensor):
        return None
    maker = cascade.einsum(access.tensor)
    by = {str(out.single): index for out, index in zip(maker.output.indices, access.indices, strict=True)}
    held: set[object] = {(p.left, p.relation, p.right) for p in reader.predicates}
    held |= {(c.left, c.relation, c.right) for c in reader.conditions}
    needed: set[object] = {(substitute(p.left, by), p.relation, substitute(p.right, by)) for p in maker.predicates}
    needed |= {(substitute_expr(c.left, by), c.relation, substitute_expr(c.right, by)) for c in maker.conditions}
    return substitute_expr(maker.expr, by) if needed <= held else None


def consumers(cascade: Cascade, name: str) -> tuple[Einsum, ...]:
    """Return the Einsums that read a tensor, other than its own."""
    return tuple(e for e in cascade.einsums if e.name != name and any(a.tensor == name for a in e.accesses))


def fresh(cascade: Cascade, stem: str, taken: Iterable[str] = ()) -> str:
    """Return a name that nothing of the cascade has: the stem, or the stem with a number."""
    used = {t.name for t in cascade.tensors} | {e.name for e in cascade.extents} | set(taken)
    used |= {d.name for d in cascade.definitions}
    if stem not in used:
        return stem
    return next(f"{stem}_{n}" for n in range(2, len(used) + 3) if f"{stem}_{n}" not in used)


def rebuild(cascade: Cascade, einsums: Iterable[Einsum], extents: Iterable[Extent] | None = None) -> Cascade:
    """Return the cascade with other Einsums, dead ones removed and all in a legal order, verified."""
    kept = alive([replace(e, span=None) for e in einsums], {t.name for t in cascade.outputs})
    made = replace(cascade, einsums=tuple(kept), extents=tuple(extents) if extents is not None else cascade.extents)
    made = build(made)
    return verify(build(replace(made, einsums=tuple(_arrange(made)))))


def alive(einsums: Sequence[Einsum], outputs: Iterable[str]) -> list[Einsum]:
    """Return the Einsums that an output needs."""
    needed = set(outputs)
    before = -1
    while before != len(needed):
        before = len(needed)
        for einsum in einsums:
            if einsum.name in needed:
                needed.update(a.tensor for a in einsum.accesses)
    return [e for e in einsums if e.name in needed]


def _arrange(cascade: Cascade) -> list[Einsum]:
    """Return init lines first, then every Einsum after what it reads of its own generation, else as they stood."""
    made: set[str] = {t.name for t in cascade.inputs}
    done = [e for e in cascade.einsums if e.init and all(a.tensor in made for a in e.accesses)]
    waiting = [e for e in cascade.einsums if e not in done]
    while waiting:
        ready = next((e for e in waiting if all(_there(cascade, e, a, made) for a in e.accesses)), waiting[0])
        waiting.remove(ready)
        done.append(ready)
        if not ready.init:
            made.add(ready.name)
    return done


def _there(cascade: Cascade, einsum: Einsum, access: Access, made: set[str]) -> bool:
    """Say whether an access reads what stands already: made before, or an earlier generation."""
    if access.tensor in made or access.tensor == einsum.name:
        return True
    for position in cascade.generations.get(access.tensor, ()):
        written = cascade.einsum(access.tensor).output.indices[position]
        index = access.indices[position]
        if index.single is not None and index.single == written.single and index.offset < written.offset:
            return True
    return False
