"""One family of errors for people: place, source line, caret, what was expected, and a suggestion.

AttnsimError
  SpecError      a file is wrong, or the command was: carries every problem found     exit code 2
  MappingError   legal parts that cannot work together                                exit code 3
  StudyError     unknown study, or a result that is not what it should be             exit code 4
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "AttnsimError",
    "MappingError",
    "Problem",
    "Source",
    "Span",
    "SpecError",
    "StudyError",
    "read_source",
    "suggest",
]


@dataclass(frozen=True, slots=True)
class Source:
    """A text and the name by which the user knows it."""

    name: str
    text: str

    def line(self, number: int) -> str:
        """Return line `number` (1 is the first), without its newline; empty past the end."""
        lines = self.text.splitlines()
        return lines[number - 1] if 0 < number <= len(lines) else ""


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a source: line and column count from 1; `width` characters are marked."""

    source: Source
    line: int
    column: int
    width: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a sentence, where, and what to do about it."""

    message: str
    span: Span | None = None
    hint: str | None = None

    def __str__(self) -> str:
        if self.span is None:
            return self.message if self.hint is None else f"{self.message}\n    {self.hint}"
        span = self.span
        out = f"{span.source.name}:{span.line}:{span.column}: {self.message}"
        text, column = _window(span.source.line(span.line), span.column)
        if text.strip():
            # Tabs are kept in the caret line, so that the caret stands below its column on any terminal.
            margin = "".join("\t" if c == "\t" else " " for c in text[: column - 1])
            marks = "^" * max(1, min(span.width, len(text) - column + 1))
            out += f"\n    {text}\n    {margin}{marks}"
        return out if self.hint is None else f"{out}\n    {self.hint}"


class AttnsimError(Exception):
    """Base of every error that a user can cause; `exit_code` is the command line's."""

    exit_code = 1


class SpecError(AttnsimError):
    """A file or a command-line word is wrong; `problems` holds everything found, in order of position."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        found = [problems] if isinstance(problems, Problem) else list(problems)
        self.problems: tuple[Problem, ...] = tuple(sorted(found, key=_position))
        super().__init__("\n".join(str(p) for p in self.problems))


class MappingError(AttnsimError):
    """A legal cascade, architecture and mapping that cannot work together; says which Einsum, part and limit."""

    exit_code = 3


class StudyError(AttnsimError):
    """A study, axis or column that does not exist, or a result that differs from its reference."""

    exit_code = 4


def _position(problem: Problem) -> tuple[str, int, int]:
    span = problem.span
    return (span.source.name, span.line, span.column) if span else ("", 0, 0)


_WIDEST = 160


def _window(line: str, column: int) -> tuple[str, int]:
    """Return the part of a long line around a column, and the column in it; control characters become `?`."""
    shown = "".join(c if c.isprintable() or c == "\t" else "?" for c in line)
    if len(shown) <= _WIDEST:
        return shown, column
    start = max(0, min(column - _WIDEST // 2, len(shown) - _WIDEST))
    return shown[start : start + _WIDEST], column - start


def suggest(name: str, candidates: Iterable[str]) -> str | None:
    """Return "did you mean 'x'?" for the closest candidate, or None when none is close.

    >>> suggest("capacty", ["capacity", "bandwidth"])
    "did you mean 'capacity'?"
    """
    by_lower = {c.lower(): c for c in candidates}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean '{by_lower[close[0]]}'?" if close else None


def read_source(path: str | Path) -> Source:
    """Read a text file as a `Source` named as the user named it.

    Raises SpecError when the file cannot be read, is not UTF-8 text, or is empty.
    """
    name = str(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SpecError(f"{name}: cannot be read: {(error.strerror or 'unknown error').lower()}") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{name}: not a text file (byte {error.start} is not UTF-8)") from error
    if "\0" in text:
        raise SpecError(f"{name}: not a text file (it holds a NUL byte)")
    if not text.strip():
        raise SpecError(f"{name}: the file is empty")
    return Source(name, text)
