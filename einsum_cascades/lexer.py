"""The words of a `.cascade` text, each with its place.

number  = digits ["." digits] ["e" ["+"|"-"] digits]        name = letter {letter | digit | "_"}
comment = "#" to the end of the line                         mark = :: <= >= == != and single characters
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from einsum_cascades.diagnostics import Problem, Source, Span

__all__ = ["Kind", "Token", "scan"]

Kind = Literal["number", "name", "mark", "newline", "comment", "end"]

_WORD = re.compile(
    r"""(?P<space>[ \t\r\f]+)
      | (?P<newline>\n)
      | (?P<comment>\#[^\n]*)
      | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<mark>::|<=|>=|==|!=|[-\[\](),;=+*/|<>~])
    """,
    re.VERBOSE,
)
_MEANT = {"−": "-", "–": "-", "×": "*", "·": "*", "≤": "<=", "≥": ">=", "≠": "!=", "∞": "inf", "÷": "/", ":": "::"}


@dataclass(frozen=True, slots=True)
class Token:
    """One word and where it stands."""

    kind: Kind
    text: str
    span: Span


def scan(source: Source) -> tuple[list[Token], list[Problem]]:
    """Return the words of a text, closed by an `end`, and a problem for each character that is in no word.

    >>> [t.text for t in scan(Source("t", "RM[m1+1]"))[0]]
    ['RM', '[', 'm1', '+', '1', ']', '']
    """
    tokens: list[Token] = []
    problems: list[Problem] = []
    text, at, line, start = source.text, 0, 1, 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            span = Span(source, line, at - start + 1)
            meant = _MEANT.get(text[at])
            hint = f"write '{meant}'" if meant else None
            problems.append(Problem(f"the character '{text[at]}' has no meaning here", span, hint))
            at += 1
            continue
        kind, word = found.lastgroup, found.group()
        span = Span(source, line, at - start + 1, max(1, len(word)))
        at = found.end()
        match kind:
            case "space":
                continue
            case "newline":
                tokens.append(Token("newline", "", span))
                line, start = line + 1, at
            case "number" | "name" | "mark" | "comment":
                tokens.append(Token(kind, word, span))
    tokens.append(Token("end", "", Span(source, line, at - start + 1)))
    return tokens, problems
