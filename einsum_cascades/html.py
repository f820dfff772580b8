"""Tables and texts as HTML, for the representations that notebooks show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["html_table", "html_text"]


def html_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table; the columns are the keys of the first one.

    >>> html_table([{"rank": "M", "passes": 3}]).count("<td>")
    2
    """
    if not rows:
        return ""
    head = "".join(f"<th>{escape(str(key))}</th>" for key in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{_cell(row[key])}</td>" for key in rows[0]) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_text(text: str) -> str:
    """Return a text as it stands, in lines."""
    return f"<pre>{escape(text)}</pre>"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return escape(f"{value:.6g}" if isinstance(value, float) else str(value))
