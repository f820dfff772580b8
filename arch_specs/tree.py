"""A YAML text as a tree whose nodes know their source: syntax, and what no reader accepts anywhere.

YAML is read by the core rules of version 1.2: only `true` and `false` are booleans (`on`, `no` and `y` are text).
Anchors and aliases work; tags, `<<` merges, duplicate keys and several documents in a file are problems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, cast

import yaml

from einsum_cascades.diagnostics import Problem, Source, Span, SpecError

__all__ = ["Form", "compose", "find_tree_problems", "form_of", "is_key", "printable", "span_of"]

Form = Literal["mapping", "list", "text", "integer", "number", "boolean", "nothing", "missing"]

_FORMS: tuple[tuple[Form, re.Pattern[str]], ...] = (
    ("nothing", re.compile(r"|~|null|Null|NULL")),
    ("boolean", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("integer", re.compile(r"[-+]?[0-9]+")),
    ("number", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")),
)
_PLAIN_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}


# Deeper than any specification, and far from the depth at which the interpreter itself would give up.
_DEEPEST = 100


class _Loader(yaml.BaseLoader):
    """PyYAML's plain loader with a limit to nesting; it composes by recursion."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise RecursionError
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def compose(source: Source) -> yaml.Node:
    """Return the root of a text; SpecError for a syntax error, no values, two documents."""
    try:
        loader = _Loader(source.text)
        loader.name = source  # every mark carries its source, so that trees of several files may be joined
        root = loader.get_single_node()
    except yaml.YAMLError as error:
        raise SpecError(_syntax_problem(source, error)) from error
    except RecursionError as error:
        raise SpecError(Problem("nested too deeply", Span(source, 1, 1))) from error
    except (ValueError, OverflowError) as error:  # from PyYAML itself, at a code point that does not exist
        raise SpecError(Problem("not valid YAML: an escape that is no character", Span(source, 1, 1))) from error
    if root is None:
        raise SpecError(Problem("the file holds no values", Span(source, 1, 1)))
    return root


def find_tree_problems(root: yaml.Node) -> Iterator[Problem]:
    """Yield what no reader accepts anywhere: tags, merges, duplicate keys, keys that are no text.

    Raises SpecError for an alias inside the value that it repeats, which has no end.
    """
    done: set[int] = set()
    stack: list[tuple[yaml.Node, frozenset[int]]] = [(root, frozenset())]
    while stack:
        node, above = stack.pop()
        if id(node) in above:
            raise SpecError(Problem("an alias stands inside the value that it repeats", span_of(node)))
        if id(node) in done:
            continue
        done.add(id(node))
        if node.tag not in _PLAIN_TAGS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            yield Problem(f"the YAML tag '{tag}' is not allowed", span_of(node), "write a plain value")
        if isinstance(node, yaml.MappingNode):
            yield from _key_problems(node)
        if isinstance(node, yaml.CollectionNode):
            inner = [v for pair in node.value for v in pair] if isinstance(node, yaml.MappingNode) else node.value
            stack += [(child, above | {id(node)}) for child in inner]


def form_of(node: yaml.Node) -> Form:
    """Return what a node was written as."""
    match node:
        case yaml.MappingNode():
            return "mapping"
        case yaml.SequenceNode():
            return "list"
        case yaml.ScalarNode(style=None):
            return next((form for form, rule in _FORMS if rule.fullmatch(node.value)), "text")
        case _:
            return "text"


def is_key(key: yaml.Node) -> bool:
    """Say whether a key is a text: quoted, or plain and neither a number, a boolean, nothing nor a merge."""
    merge = isinstance(key, yaml.ScalarNode) and key.style is None and key.value == "<<"
    return form_of(key) == "text" and not merge


def _key_problems(node: yaml.MappingNode) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for key, _ in node.value:
        span = span_of(key)
        if not isinstance(key, yaml.ScalarNode):
            yield Problem("a key is a text, found a list or a mapping", span)
            continue
        if key.value == "<<" and key.style is None:
            hint = "repeat the keys, or give the whole value as an alias"
            yield Problem("'<<' merges are not supported", span, hint)
        elif not is_key(key):
            yield Problem(f"a key is a text, found '{key.value}'", span, f'write "{key.value}" in quotes')
        elif key.value in first:
            yield Problem(f"duplicate key '{key.value}', first given on line {first[key.value]}", span)
        first.setdefault(key.value, span.line)


def _syntax_problem(source: Source, error: yaml.YAMLError) -> Problem:
    if isinstance(error, yaml.reader.ReaderError):
        before = source.text[: error.position].splitlines() or [""]
        return Problem("not a text file: a control character", Span(source, len(before), len(before[-1]) + 1))
    mark = getattr(error, "problem_mark", None)
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        return Problem("not valid YAML", Span(source, 1, 1))
    span = Span(source, mark.line + 1, mark.column + 1)
    if error.context and "single document" in error.context:
        return Problem("a second YAML document; a file holds one", span)
    return Problem(printable(f"not valid YAML: {error.problem}"), span)


def span_of(raw: yaml.Node) -> Span:
    """Return where a node stands, in the source that it was read from."""
    start, end = raw.start_mark, raw.end_mark
    source = cast(Source, start.name)
    one_line = start.line == end.line and isinstance(raw, yaml.ScalarNode)
    return Span(source, start.line + 1, start.column + 1, max(1, end.column - start.column) if one_line else 1)


def printable(text: str) -> str:
    """Return a text that any terminal and any encoding can show, on one line and of bounded length."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return shown if len(shown) <= 300 else shown[:299] + "…"
