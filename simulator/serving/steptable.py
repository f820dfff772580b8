"""Step times as a table: read one that a measurement or another model made, and serve by it.

A table has decode rows on a full grid of tokens x keys, and prefill rows by tokens. A step of n tokens that reads k
keys and has q (query, key) pairs of prefill takes

    decode(n, k) + (prefill(n) - decode(n, 0)) q / (n (n + 1) / 2)

with decode bilinear between its points, and along the last two points beyond; without prefill rows a prompt's tokens
cost what as many decode tokens do over no keys.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass

from einsum_cascades.diagnostics import Problem, Source, Span, SpecError, suggest

__all__ = ["StepTable", "read_step_table"]

# A column by the names that tables give it; `cluster sweep` says batch, context and tpot_s.
_NAMES = {"tokens": ("tokens", "batch"), "seconds": ("seconds", "tpot_s", "step_s")}


@dataclass(frozen=True, slots=True)
class StepTable:
    """Seconds of a step: `decode[i][j]` for `tokens[i]` tokens over `keys[j]` keys, `prefill[i]` for a prompt of
    `tokens[i]`. Both axes ascend, with two points or more.
    """

    tokens: tuple[float, ...]
    keys: tuple[float, ...]
    decode: tuple[tuple[float, ...], ...]
    prefill: tuple[float, ...]

    def seconds(self, tokens: int, keys: float = 0.0, pairs: float = 0.0) -> float:
        """Return the seconds of a step, as `StepTime.seconds`.

        >>> table = StepTable((1.0, 3.0), (0.0, 100.0), ((1.0, 2.0), (3.0, 4.0)), (1.5, 6.0))
        >>> table.seconds(2, keys=50.0), table.seconds(3, pairs=6.0)
        (2.5, 6.0)
        """
        if not tokens:
            return 0.0
        i, x = _place(self.tokens, tokens)
        j, y = _place(self.keys, keys)
        _, none = _place(self.keys, 0.0)
        at = [row[j] + (row[j + 1] - row[j]) * y for row in self.decode[i : i + 2]]
        bare = [row[0] + (row[1] - row[0]) * none for row in self.decode[i : i + 2]]
        extra = [self.prefill[i + k] - bare[k] for k in (0, 1)]
        whole = tokens * (tokens + 1) / 2
        return at[0] + (at[1] - at[0]) * x + (extra[0] + (extra[1] - extra[0]) * x) * pairs / whole


def _place(points: tuple[float, ...], value: float) -> tuple[int, float]:
    """Return the interval of a value, the last beyond, and how far along it is."""
    low = 0
    while low < len(points) - 2 and points[low + 1] <= value:
        low += 1
    return low, (value - points[low]) / (points[low + 1] - points[low])


def read_step_table(source: Source) -> StepTable:
    """Return the table of a CSV file with columns `phase, tokens, keys, seconds`, or `batch, context, tpot_s`.

    `phase` is decode where there is no such column; a `context` is the keys of each token; rows whose `feasible` is
    false are passed over. Raises SpecError for missing columns, values that are no positive time, points that are given
    twice, and points that the grid lacks.
    """
    rows = list(csv.DictReader(source.text.splitlines()))
    names = list(rows[0]) if rows else []
    where = {c: next((n for n in given if n in names), "") for c, given in _NAMES.items()}
    keyed = "keys" if "keys" in names else "context" if "context" in names else ""
    problems = [
        Problem(f"the step table lacks the column '{c}'", Span(source, 1, 1, len(source.line(1))), suggest(c, names))
        for c, found in (*where.items(), ("keys", keyed))
        if not found
    ]
    decode: dict[tuple[float, float], float] = {}
    prefill: dict[float, float] = {}
    for number, row in enumerate(rows if not problems else (), 2):
        if (row.get("feasible") or "true").lower() == "false":
            continue
        values = [_number(row[name]) for name in (where["tokens"], keyed, where["seconds"])]
        if None in values or values[0] < 1 or values[1] < 0 or values[2] <= 0:  # type: ignore[operator]
            text = f"a step has tokens from 1, keys from 0 and a positive time, found '{source.line(number)}'"
            problems.append(Problem(text, Span(source, number, 1, len(source.line(number)))))
            continue
        tokens, keys, seconds = (float(v) for v in values if v is not None)
        if row.get("phase", "decode") == "prefill":
            prefill[tokens] = seconds
            continue
        point = tokens, keys * tokens if keyed == "context" else keys
        if point in decode:
            text = f"{tokens:g} tokens over {point[1]:g} keys are given twice: a table is of one design"
            problems.append(Problem(text, Span(source, number, 1, len(source.line(number)))))
        decode[point] = seconds
    if problems:
        raise SpecError(problems)
    return _grid(source, decode, prefill, each=keyed == "context")


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _grid(
    source: Source, decode: dict[tuple[float, float], float], prefill: dict[float, float], *, each: bool
) -> StepTable:
    """Return the points as a table; where keys are given for each token, the grid is made by interpolation."""
    tokens = tuple(sorted({t for t, _ in decode}))
    by_tokens = {t: sorted((k, s) for (n, k), s in decode.items() if n == t) for t in tokens}
    keys = tuple(sorted({k for _, k in decode}))
    if each:
        # Along a line of one batch, seconds are linear in keys between its contexts.
        keys = (0.0, *(k for k in keys if k > 0))
    short = [t for t in tokens if len(by_tokens[t]) < 2 or (not each and len(by_tokens[t]) < len(keys))]
    if len(tokens) < 2 or len(keys) < 2 or short:
        hint = f"a row for each of {len(tokens)} numbers of tokens and {len(keys)} of keys; at least two of both"
        raise SpecError(Problem(f"{source.name}: the step table is no grid", hint=hint))
    table = tuple(tuple(_along(by_tokens[t], k) for k in keys) for t in tokens)
    bare = [_along(by_tokens[t], 0.0) for t in tokens]
    return StepTable(tokens, keys, table, tuple(prefill.get(t, b) for t, b in zip(tokens, bare, strict=True)))


def _along(points: list[tuple[float, float]], keys: float) -> float:
    low, part = _place(tuple(k for k, _ in points), keys)
    first, second = points[low][1], points[low + 1][1]
    return max(first + (second - first) * part, 0.0)
