"""The one way that YAML is read here: typed accessors that know their line and column and collect every problem.

    problems = Problems()
    root = read_yaml(source, problems)
    fields = root.mapping(required=("name", "clock"), optional=("summary",))
    name, clock_hz = fields["name"].text(), fields["clock"].quantity("hz")
    problems.finish()                       # raises SpecError with everything that was wrong

An accessor that finds something wrong records it and returns a harmless value of the type that it promises, so
that reading goes on and the user sees all problems at once; `finish` raises before such a value is used.

YAML is read by the core rules of version 1.2: only `true` and `false` are booleans (`on`, `no` and `y` are text).
Anchors and aliases work; tags, `<<` merges, duplicate keys and several documents in a file are errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, cast

import yaml

from arch_specs.units import KINDS, Quantity, parse_quantity
from einsum_cascades.diagnostics import Problem, Source, Span, SpecError, suggest

__all__ = ["Fields", "Node", "Problems", "read_yaml"]

Form = Literal["mapping", "list", "text", "integer", "number", "boolean", "nothing", "missing"]

_FORMS: tuple[tuple[Form, re.Pattern[str]], ...] = (
    ("nothing", re.compile(r"|~|null|Null|NULL")),
    ("boolean", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("integer", re.compile(r"[-+]?[0-9]+")),
    ("number", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")),
)
_ARTICLE: dict[Form, str] = {"mapping": "a mapping", "list": "a list", "nothing": "nothing", "missing": "nothing"}
_PLAIN_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}
_MAX_DIGITS = 18


class Problems:
    """A collector: reading goes on after a problem, and `finish` raises them all."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, message: str, span: Span | None = None, hint: str | None = None) -> None:
        """Record a problem; the same one is kept once."""
        self._found[Problem(_printable(message), span, hint and _printable(hint))] = None

    def extend(self, error: SpecError, span: Span | None = None) -> None:
        """Record the problems of an error; those without a place get `span`."""
        for problem in error.problems:
            self.add(problem.message, problem.span or span, problem.hint)

    def finish(self) -> None:
        """Raise SpecError with everything recorded, in order of position; return when there is nothing."""
        if self._found:
            raise SpecError(self._found)


@dataclass(frozen=True, slots=True)
class Node:
    """A value in a YAML file: `key` is what the user calls it, `span` where it stands."""

    key: str
    span: Span
    problems: Problems
    raw: yaml.Node | None = None

    @property
    def form(self) -> Form:
        """What was written: for a reader that accepts several forms (`all` or a list of names)."""
        match self.raw:
            case None:
                return "missing"
            case yaml.MappingNode():
                return "mapping"
            case yaml.SequenceNode():
                return "list"
            case _ if self.raw.style is None:  # type: ignore[attr-defined]
                return next((form for form, rule in _FORMS if rule.fullmatch(self.raw.value)), "text")
            case _:
                return "text"

    def report(self, message: str, hint: str | None = None) -> None:
        """Record a problem at this value; a missing value has been reported already."""
        if self.raw is not None:
            self.problems.add(message, self.span, hint)

    def text(self, default: str = "") -> str:
        """Return a text that is not empty."""
        if self.form == "text" and self._scalar().strip():
            return self._scalar()
        self._expected("a text")
        return default

    def choice(self, names: Iterable[str], what: str = "a value") -> str:
        """Return a text that is one of `names`; `what` says what they are ("a part")."""
        legal = list(names)
        found = self.text()
        if found and found not in legal:
            hint = suggest(found, legal) or (f"one of {', '.join(legal)}" if legal else None)
            self.report(f"{self._name} is {what}, found '{found}'", hint)
        return found if found in legal else (legal[0] if legal else "")

    def integer(self, minimum: int = 1) -> int:
        """Return a whole number that is at least `minimum`, written without a unit."""
        if self.form != "integer":
            self._expected("a whole number")
            return minimum
        if len(self._scalar()) > _MAX_DIGITS:
            self.report(f"{self._name} is too large")
            return minimum
        value = int(self._scalar())
        if value < minimum:
            self.report(f"{self._name} is {value}, but must be at least {minimum}")
            return minimum
        return value

    def number(self) -> float:
        """Return a finite number, written without a unit."""
        if self.form not in ("integer", "number"):
            self._expected("a number")
            return 0.0
        text = self._scalar().lower()
        value = float(text.replace(".inf", "inf").replace(".nan", "nan"))
        if not math.isfinite(value):
            self.report(f"{self._name} is {'not a number' if math.isnan(value) else 'infinite'}")
            return 0.0
        return value

    def boolean(self) -> bool:
        """Return true or false."""
        if self.form != "boolean":
            self._expected("true or false")
            return False
        return self._scalar().lower() == "true"

    def quantity(self, kind: str) -> Quantity:
        """Return a number with a unit in SI; `kind` is a key of `arch_specs.units.KINDS`."""
        harmless: Quantity = Fraction(1) if KINDS[kind].form is Fraction else KINDS[kind].form(1)
        if self.form not in ("text", "integer", "number"):
            self._expected(KINDS[kind].noun, f"write e.g. '{KINDS[kind].example}'")
            return harmless
        try:
            return parse_quantity(self._scalar(), kind, self._name)
        except SpecError as error:
            self.problems.extend(error, self.span)
            return harmless

    def items(self) -> tuple[Node, ...]:
        """Return the values of a list."""
        if not isinstance(self.raw, yaml.SequenceNode):
            self._expected("a list")
            return ()
        return tuple(self._child(self.key, item) for item in self.raw.value)

    def names(self) -> tuple[str, ...]:
        """Return a list of texts, each given once."""
        found: dict[str, None] = {}
        for item in self.items():
            name = item.text()
            if name and name in found:
                item.report(f"'{name}' is given twice in '{self.key}'")
            elif name:
                found[name] = None
        return tuple(found)

    def entries(self) -> tuple[tuple[Node, Node], ...]:
        """Return the (key, value) pairs of a mapping whose keys are the user's own names.

        A key that is no text is left out: `read_yaml` has reported it.
        """
        if not isinstance(self.raw, yaml.MappingNode):
            self._expected("a mapping")
            return ()
        return tuple(
            (self._child(key.value, key), self._child(key.value, value))
            for key, value in self.raw.value
            if _is_key(key)
        )

    def mapping(self, required: Iterable[str] = (), optional: Iterable[str] = (), what: str = "") -> Fields:
        """Return the values of a mapping with known keys; an unknown key and a missing one are problems.

        `what` names the thing described ("part 'L3'") in messages.
        """
        required = tuple(required)
        legal = (*required, *optional)
        found: dict[str, Node] = {}
        misspelt: set[str] = set()
        what = what or (f"'{self.key}'" if self.key else "the file")
        for key, value in self.entries():
            if key.key in legal:
                found.setdefault(key.key, value)
                continue
            meant = [name for name in legal if suggest(key.key, [name])]
            misspelt.update(meant)
            hint = suggest(key.key, meant) or f"keys are {', '.join(legal)}"
            key.report(f"unknown key '{key.key}' in {what}", hint)
        missing = [key for key in required if key not in found and key not in misspelt]
        if missing and self.form == "mapping":
            plural = "s" if len(missing) > 1 else ""
            self.report(f"{what} lacks the key{plural} {', '.join(repr(key) for key in missing)}")
        return Fields(self, found)

    @property
    def _name(self) -> str:
        return f"'{self.key}'" if self.key else "the file"

    def _scalar(self) -> str:
        return str(self.raw.value) if isinstance(self.raw, yaml.ScalarNode) else ""

    def _child(self, key: str, raw: yaml.Node) -> Node:
        return Node(key, _span(raw), self.problems, raw)

    def _expected(self, what: str, hint: str | None = None) -> None:
        form = self.form
        if form == "nothing":
            self.report(f"{self._name} has no value, expected {what}", hint)
        else:
            found = _ARTICLE.get(form) or (f"the text '{self._scalar()}'" if form == "text" else f"'{self._scalar()}'")
            self.report(f"{self._name} is {what}, found {found}", hint)


@dataclass(frozen=True, slots=True)
class Fields:
    """The values of a mapping by key; a key that is absent gives a node of form "missing", whose reads are silent."""

    node: Node
    values: dict[str, Node]

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __getitem__(self, key: str) -> Node:
        return self.values.get(key) or Node(key, self.node.span, self.node.problems)

    def get(self, key: str) -> Node | None:
        """Return the value of an optional key, or None."""
        return self.values.get(key)


def read_yaml(source: Source, problems: Problems) -> Node:
    """Return the root of a YAML text; what is wrong with the YAML itself is recorded in `problems`.

    Raises SpecError at once when there is no tree to read: a syntax error, nothing but comments, two documents.

    >>> from einsum_cascades.diagnostics import Source
    >>> read_yaml(Source("chip.yaml", "clock: 940 MHz"), Problems()).mapping(["clock"])["clock"].quantity("hz")
    940000000.0
    """
    try:
        raw = _compose(source)
    except yaml.YAMLError as error:
        raise SpecError(_syntax_problem(source, error)) from error
    except RecursionError as error:
        raise SpecError(Problem("nested too deeply", Span(source, 1, 1))) from error
    except (ValueError, OverflowError) as error:  # from PyYAML itself, at a code point that does not exist
        raise SpecError(Problem("not valid YAML: an escape that is no character", Span(source, 1, 1))) from error
    if raw is None:
        raise SpecError(Problem("the file holds no values", Span(source, 1, 1)))
    _check_tree(raw, problems)
    return Node("", _span(raw), problems, raw)


def _compose(source: Source) -> yaml.Node | None:
    """Return the tree of a text; its marks carry the source, so that trees of several files may be joined."""
    loader = yaml.BaseLoader(source.text)
    try:
        loader.name = source
        return loader.get_single_node()
    finally:
        loader.dispose()


def _check_tree(root: yaml.Node, problems: Problems) -> None:
    """Record what no reader accepts anywhere: tags, merges, duplicate keys, keys that are no text, alias loops."""
    done: set[int] = set()
    stack: list[tuple[yaml.Node, frozenset[int]]] = [(root, frozenset())]
    while stack:
        node, above = stack.pop()
        if id(node) in above:
            raise SpecError(Problem("an alias stands inside the value that it repeats", _span(node)))
        if id(node) in done:
            continue
        done.add(id(node))
        if node.tag not in _PLAIN_TAGS:
            problems.add(f"the YAML tag '{_short(node.tag)}' is not allowed", _span(node), "write a plain value")
        if isinstance(node, yaml.MappingNode):
            _check_keys(node, problems)
        if isinstance(node, yaml.CollectionNode):
            inner = [v for pair in node.value for v in pair] if isinstance(node, yaml.MappingNode) else node.value
            stack += [(child, above | {id(node)}) for child in inner]


def _is_key(key: yaml.Node) -> bool:
    """Say whether a key is a text: quoted, or plain and neither a number, a boolean, nothing nor a merge."""
    if not isinstance(key, yaml.ScalarNode):
        return False
    return key.style is not None or (key.value != "<<" and not any(rule.fullmatch(key.value) for _, rule in _FORMS))


def _check_keys(node: yaml.MappingNode, problems: Problems) -> None:
    first: dict[str, int] = {}
    for key, _ in node.value:
        span = _span(key)
        if not isinstance(key, yaml.ScalarNode):
            problems.add("a key is a text, found a list or a mapping", span)
        elif key.value == "<<" and key.style is None:
            problems.add("'<<' merges are not supported", span, "repeat the keys, or give the whole value as an alias")
        elif not _is_key(key):
            problems.add(f"a key is a text, found '{key.value}'", span, f'write "{key.value}" in quotes')
        elif key.value in first:
            problems.add(f"duplicate key '{key.value}', first given on line {first[key.value]}", span)
        first.setdefault(str(key.value), span.line)


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
    return Problem(_printable(f"not valid YAML: {error.problem}"), span)


def _span(raw: yaml.Node) -> Span:
    start, end = raw.start_mark, raw.end_mark
    source = cast(Source, start.name)
    one_line = start.line == end.line and isinstance(raw, yaml.ScalarNode)
    return Span(source, start.line + 1, start.column + 1, max(1, end.column - start.column) if one_line else 1)


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _printable(text: str) -> str:
    """Return a text that any terminal and any encoding can show, on one line and of bounded length."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return shown if len(shown) <= 300 else shown[:299] + "…"
