"""From the value of a cascade back to its text; `parse(print_cascade(c)) == c`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

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
    Reduction,
    Symbol,
    Tensor,
    Term,
)

__all__ = ["print_cascade", "print_condition", "print_einsum", "print_expr", "print_predicate"]

_INFIX = {"add": ("+", 1), "sub": ("-", 1), "mul": ("*", 2), "div": ("/", 2)}
_TIGHT = 3


def print_cascade(cascade: Cascade) -> str:
    """Return the text of a cascade, its doc above the header, the equals signs of its Einsums in one column.

    >>> from einsum_cascades.parser import parse
    >>> print(print_cascade(parse("cascade sum\\nextent K\\ninput A[K]\\noutput Z[]\\nZ[]=A[k]")), end="")
    cascade sum
    extent  K
    input   A[K]
    output  Z[]
    <BLANKLINE>
    Z[] = A[k]
    """
    lines = [f"# {line}".rstrip() for line in cascade.doc.splitlines()]
    lines.append(f"cascade {cascade.name}")
    if cascade.extents:
        lines.append("extent  " + ", ".join(_extents(cascade.extents)))
    for role, tensors in (("input", cascade.inputs), ("output", cascade.outputs)):
        lines += [f"{role:<7} {'  '.join(map(_tensor, group))}" for group in _in_lines(tensors)]
    if cascade.reference is not None:
        lines.append(f"reference {cascade.reference}")
    for definition in cascade.definitions:
        body = "" if definition.body is None else f" = {print_expr(definition.body)}"
        lines.append(f"operator {definition.name}({', '.join(definition.parameters)}){body}")
    for stop in cascade.stops:
        condition = f"empty({_access(stop.left)})"
        lines.append(
            "stop    " + (condition if stop.right is None else f"{_access(stop.left)} == {_access(stop.right)}")
        )
    if cascade.needs:
        lines.append("needs   " + ", ".join(map(print_condition, cascade.needs)))
    lefts = [_left(e) for e in cascade.einsums]
    width = max(map(len, lefts), default=0)
    lines += ["", *(f"{left:<{width}} = {_right(e)}" for left, e in zip(lefts, cascade.einsums, strict=True))]
    return "\n".join(lines) + "\n"


def print_einsum(einsum: Einsum) -> str:
    """Return one Einsum as it stands in a text: `LM[m1,p] = QK[m1,m0,p] :: max`."""
    return f"{_left(einsum)} = {_right(einsum)}"


def _extents(extents: Iterable[Extent]) -> Iterator[str]:
    implied: set[str] = set()
    for extent in extents:
        if extent.factors:
            yield f"{extent.name} = {' * '.join(extent.factors)}"
            implied.update(extent.factors)
        elif extent.name not in implied:
            yield extent.name


def _in_lines(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Group tensors so that a line stays below the width of a page."""
    group: list[Tensor] = []
    for tensor in tensors:
        if sum(len(_tensor(t)) + 2 for t in (*group, tensor)) > 100:
            yield group
            group = []
        group.append(tensor)
    if group:
        yield group


def _tensor(tensor: Tensor) -> str:
    return f"{tensor.name}[{','.join(tensor.ranks)}]" + (f" in {tensor.within}" if tensor.within else "")


def _left(einsum: Einsum) -> str:
    return ("init " if einsum.init else "") + _access(einsum.output)


def _right(einsum: Einsum) -> str:
    text = print_expr(einsum.expr)
    if einsum.reductions:
        text += " :: " + ", ".join(map(_reduction, einsum.reductions))
    if kept := (*map(print_predicate, einsum.predicates), *map(print_condition, einsum.conditions)):
        text += " | " + ", ".join(kept)
    return text


def _reduction(reduction: Reduction) -> str:
    inside = ", ".join(reduction.variables)
    if reduction.merge is not None:
        inside += f"; {reduction.merge}"
    return f"{reduction.operator}({inside.strip()})" if inside else reduction.operator


def print_predicate(predicate: Predicate) -> str:
    """Return a predicate as it stands in a text: `m > p - W`."""
    return f"{_spaced(predicate.left)} {predicate.relation} {_spaced(predicate.right)}"


def print_condition(condition: Condition) -> str:
    """Return a condition as it stands in a text: `S[m,p] >= T[p] ~ K/M`."""
    text = f"{print_expr(condition.left)} {condition.relation} {print_expr(condition.right)}"
    if condition.density is not None:
        upper, lower = map(_term, condition.density)
        text += f" ~ {upper}" + ("" if lower == "1" else f"/{lower}")
    return text


def _access(access: Access) -> str:
    return f"{access.tensor}[{','.join(map(_index, access.indices))}]"


def _index(index: Affine, gap: str = "") -> str:
    if not index.terms:
        return "0"
    text = ""
    for term in index.terms:
        sign = "-" if term.coefficient < 0 else "+"
        text += f"{gap}{sign}{gap}{_term(term)}" if text else ("-" if sign == "-" else "") + _term(term)
    return text


def _spaced(index: Affine) -> str:
    return _index(index, " ")


def _term(term: Term) -> str:
    names = [
        *([term.variable] if term.variable else []),
        *([_access(term.lookup)] if term.lookup else []),
        *term.extents,
    ]
    if abs(term.coefficient) != 1 or not names:
        names.insert(0, str(abs(term.coefficient)))
    return "*".join(names)


def print_expr(expr: Expr, tightness: int = 0) -> str:
    """Return an expression with the brackets it needs where its surroundings bind with `tightness`."""
    match expr:
        case Number(value):
            return _number(value)
        case Symbol(name):
            return name
        case Access():
            return _access(expr)
        case Call("neg", (argument,)):
            text = "-" + print_expr(argument, _TIGHT)
            return f"({text})" if isinstance(argument, Number) else text
        case Call(operator, (left, right)) if operator in _INFIX:
            symbol, own = _INFIX[operator]
            text = f"{print_expr(left, own)} {symbol} {print_expr(right, own + 1)}"
            return f"({text})" if own < tightness else text
        case Call(operator, arguments):
            return f"{operator}({', '.join(map(print_expr, arguments))})"
    raise TypeError(f"not an expression: {expr!r}")


def _number(value: float) -> str:
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
