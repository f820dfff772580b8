"""When are two cascades one but for the names of their intermediate tensors? A key that does not change with them."""

from __future__ import annotations

import hashlib

from einsum_cascades.ir import Access, Affine, Call, Cascade, Einsum, Expr
from einsum_cascades.ops import OPERATORS
from einsum_cascades.printer import print_predicate

__all__ = ["canonical_key"]


def canonical_key(cascade: Cascade) -> str:
    """Return a text that equals that of another cascade exactly when they differ in names and order alone.

    Colour refinement (Weisfeiler and Leman) over the graph of Einsums: a tensor's colour is that of the Einsums that
    make it, in which tensors stand by their colours. Names of inputs, outputs and ranks count.
    """
    colours = {t.name: t.name if t.role != "intermediate" else "" for t in cascade.tensors}
    whole = frozenset(t.name for t in cascade.tensors if t.role != "intermediate")
    for turn in range(len(cascade.einsums) + 1):
        made = {
            name: _digest(sorted(_einsum(e, colours, whole) for e in cascade.einsums if e.name == name))
            for name in colours
            if name not in whole
        }
        same = len(set(made.values())) == len({c for n, c in colours.items() if n not in whole})
        colours |= made
        if same and "" not in colours.values() and turn > 1:
            break
    lines = sorted(_einsum(e, colours, whole) for e in cascade.einsums)
    extents = sorted(f"{e.name}={'*'.join(e.factors)}" for e in cascade.extents)
    return _digest([*extents, *lines])


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]


def _einsum(einsum: Einsum, colours: dict[str, str], whole: frozenset[str]) -> str:
    """Return one line with colours for names."""
    left = _access(einsum.output, colours, whole)
    reductions = [(r.operator, tuple(sorted(r.variables)), r.merge) for r in einsum.reductions]
    if len(einsum.reduction_operators) == 1:
        reductions = [(einsum.reduction_operators[0], (), None)]
    predicates = sorted(print_predicate(p) for p in einsum.predicates)
    predicates += sorted(
        f"{_expr(c.left, colours, whole)} {c.relation} {_expr(c.right, colours, whole)}" for c in einsum.conditions
    )
    return f"{einsum.init} {left} = {_expr(einsum.expr, colours, whole)} {reductions} {predicates}"


def _access(access: Access, colours: dict[str, str], whole: frozenset[str]) -> str:
    indices = [_index(i, colours, whole) for i in access.indices]
    if access.tensor not in whole:
        indices.sort()
    return f"{colours[access.tensor]}[{','.join(indices)}]"


def _index(index: Affine, colours: dict[str, str], whole: frozenset[str]) -> str:
    parts = []
    for t in index.terms:
        looked = "" if t.lookup is None else _access(t.lookup, colours, whole)
        parts.append(f"{t.coefficient}*{'*'.join(t.extents)}*{t.variable}{looked}")
    return "+".join(sorted(parts))


def _expr(expr: Expr, colours: dict[str, str], whole: frozenset[str]) -> str:
    match expr:
        case Access():
            return _access(expr, colours, whole)
        case Call(operator, arguments):
            parts = [_expr(a, colours, whole) for a in arguments]
            if operator in OPERATORS and OPERATORS[operator].commutative:
                parts.sort()
            return f"{operator}({', '.join(parts)})"
    return repr(expr)
