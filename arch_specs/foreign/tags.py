"""Other tools' YAML: tags become a key, numbers may be written as plain arithmetic, templates are not run."""

from __future__ import annotations

import ast
import math
import operator
from typing import Any

import yaml

from einsum_cascades.diagnostics import Problem, Source, SpecError

__all__ = ["TAG", "find_number", "read_tagged"]

TAG = "!"  # the key under which a node's tag stands
_OPERATORS: dict[type[ast.AST], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
_LONGEST = 200


class _Loader(yaml.SafeLoader):
    """Reads mappings with any tag as mappings; the tag is one more entry."""


def _construct(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {TAG: f"!{tag}", **loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_Loader.add_multi_constructor("!", _construct)


def read_tagged(source: Source) -> Any:
    """Return the YAML of a text with tags as entries; SpecError where it is not YAML, or a template of it."""
    if "{{" in source.text or "{%" in source.text:
        hint = "let the tool that it belongs to render it first, and import the result"
        raise SpecError(Problem(f"{source.name}: is a template", hint=hint))
    try:
        return yaml.load(source.text, _Loader)
    except yaml.YAMLError as error:
        raise SpecError(f"{source.name}: is not YAML: {str(error).splitlines()[0]}") from error


def find_number(value: Any) -> float | None:
    """Return a number, or the value of plain arithmetic on numbers; None for anything else.

    >>> find_number("1024 * 1024 * 8"), find_number("max(read, write)")
    (8388608.0, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if not isinstance(value, str):
        return float(value)
    if len(value) > _LONGEST:
        return None
    try:
        found = _work_out(ast.parse(value.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError):
        return None
    return float(found) if math.isfinite(found) else None


def _work_out(node: ast.AST) -> float:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return float(_OPERATORS[type(op)](_work_out(left), _work_out(right)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_work_out(operand)
        case _:
            raise ValueError("not arithmetic on numbers")
