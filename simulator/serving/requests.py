"""Requests: when they arrive, how many tokens they bring and ask for. From a trace, drawn, or shuffled."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from einsum_cascades.diagnostics import Problem, Source, Span, SpecError, suggest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

__all__ = ["Requests", "draw_requests", "read_trace", "shuffle_lengths"]

# A column by the names that public traces give it.
_COLUMNS = {
    "arrived_s": ("arrived_s", "arrived_at", "timestamp"),
    "prompt_tokens": ("prompt_tokens", "contexttokens", "num_prefill_tokens", "input_tokens"),
    "gen_tokens": ("gen_tokens", "generatedtokens", "num_decode_tokens", "output_tokens"),
}
_MOST_TOKENS = 1 << 30
_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Requests:
    """Requests in order of arrival: seconds from the first, tokens of the prompt, tokens to generate (1 or more)."""

    arrived_s: Floats
    prompt: Ints
    generated: Ints

    def __len__(self) -> int:
        return len(self.arrived_s)

    def every(self, count: int, first: int) -> Requests:
        """Return each `count`-th request from `first` on: what one of `count` replicas gets in turn."""
        return Requests(self.arrived_s[first::count], self.prompt[first::count], self.generated[first::count])


def read_trace(source: Source) -> Requests:
    """Return the requests of a CSV trace with columns `arrived_s, prompt_tokens, gen_tokens`, sorted by arrival.

    The headers of the Azure traces (TIMESTAMP, ContextTokens, GeneratedTokens) are understood. Raises SpecError with
    every problem: a column that is missing, a time or a count that is none, lengths below 1.

    >>> read_trace(Source("t.csv", "arrived_s,prompt_tokens,gen_tokens\\n0.0,374,44\\n4.3,396,109\\n")).prompt.tolist()
    [374, 396]
    """
    import numpy as np  # noqa: PLC0415 - reading other files needs none

    rows = list(csv.reader(source.text.splitlines()))
    header = [name.strip().lower() for name in rows[0]] if rows else []
    places = {c: next((header.index(n) for n in names if n in header), -1) for c, names in _COLUMNS.items()}
    problems = list(_missing(source, header, places))
    found: list[tuple[float, int, int]] = []
    for number, row in enumerate(rows[1:], 2):
        if problems and ((places and min(places.values()) < 0) or len(problems) >= _MOST_PROBLEMS):
            break
        if any(cell.strip() for cell in row):
            found.append(_request(source, number, row, places, problems))
    if not found and not problems:
        problems.append(Problem(f"{source.name}: the trace holds no requests"))
    if problems:
        raise SpecError(problems)
    found.sort(key=lambda request: request[0])
    arrived, prompt, generated = zip(*found, strict=True)
    times = np.array(arrived, float)
    return Requests(times - times[0], np.array(prompt, np.int64), np.array(generated, np.int64))


def _missing(source: Source, header: list[str], places: dict[str, int]) -> Iterator[Problem]:
    for column, place in places.items():
        if place < 0:
            hint = suggest(column, header) or f"the first line names the columns {', '.join(_COLUMNS)}"
            yield Problem(f"the trace lacks the column '{column}'", Span(source, 1, 1, len(source.line(1))), hint)


def _request(
    source: Source, number: int, row: list[str], places: dict[str, int], problems: list[Problem]
) -> tuple[float, int, int]:
    """Return the numbers of a row; what is wrong with it is added to `problems`."""
    cells = {column: row[place].strip() if place < len(row) else "" for column, place in places.items()}

    def wrong(column: str, expected: str) -> None:
        cell, before = cells[column], row[: places[column]]
        at = source.line(number).find(cell, sum(len(text) + 1 for text in before)) + 1
        problems.append(Problem(f"{column} is {expected}, found '{cell}'", Span(source, number, max(at, 1), len(cell))))

    arrived = _seconds(cells["arrived_s"])
    if arrived is None:
        wrong("arrived_s", "a time in seconds, or a date with a time")
    counts = []
    for column in ("prompt_tokens", "gen_tokens"):
        text = cells[column]
        value = int(text) if text.lstrip("-").isascii() and text.lstrip("-").isdigit() and len(text) < 12 else None
        if value is None or not 1 <= value <= _MOST_TOKENS:
            wrong(column, "a number of tokens from 1")
        counts.append(value or 1)
    return arrived or 0.0, counts[0], counts[1]


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            return None
    return value if math.isfinite(value) and abs(value) < 1e12 else None


def draw_requests(rate_per_s: float, lengths: tuple[Ints, Ints], count: int, seed: int) -> Requests:
    """Return `count` Poisson arrivals whose (prompt, generated) pairs are drawn with replacement from `lengths`.

    >>> import numpy as np
    >>> drawn = draw_requests(2.0, (np.array([100]), np.array([10])), 1000, seed=1)
    >>> len(drawn), round(float(drawn.arrived_s[-1]))
    (1000, 504)
    """
    import numpy as np  # noqa: PLC0415

    if not (rate_per_s > 0 and math.isfinite(rate_per_s)):
        raise SpecError(f"a rate of {rate_per_s} requests a second: it is above 0")
    if count < 1:
        raise SpecError(f"{count} requests: at least 1")
    generator = np.random.default_rng(seed)
    gaps = generator.exponential(1 / rate_per_s, count)
    chosen = generator.integers(0, len(lengths[0]), count)
    return Requests(np.cumsum(gaps) - gaps[0], lengths[0][chosen], lengths[1][chosen])


def shuffle_lengths(requests: Requests, seed: int) -> Requests:
    """Return the same arrivals with the same lengths in another order: another day with this traffic."""
    import numpy as np  # noqa: PLC0415

    order = np.random.default_rng(seed).permutation(len(requests))
    return Requests(requests.arrived_s, requests.prompt[order], requests.generated[order])
