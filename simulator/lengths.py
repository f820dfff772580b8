"""Prompts and generated tokens of real requests: their means while decoding, and what unlike lengths cost a pool."""

from __future__ import annotations

import csv
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from einsum_cascades.diagnostics import Problem, Source, Span, SpecError, read_source, suggest

__all__ = ["Lengths", "read_lengths", "read_lengths_file", "spread_over_devices"]

_PROMPT = ("prompt_tokens", "prompt", "num_prefill_tokens", "ContextTokens")
_GENERATED = ("gen_tokens", "generated_tokens", "generated", "num_decode_tokens", "GeneratedTokens")
_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Lengths:
    """The tokens of each request's prompt and of its answer."""

    prompt: tuple[int, ...]
    generated: tuple[int, ...]
    name: str = ""

    @property
    def mean_prompt(self) -> float:
        """The mean prompt, in tokens."""
        return sum(self.prompt) / len(self.prompt)

    @property
    def mean_generated(self) -> float:
        """The mean answer, in tokens."""
        return sum(self.generated) / len(self.generated)

    @property
    def context(self) -> float:
        """The mean context of a decode step, its own token included: long answers count for as long as they run.

        >>> Lengths((10, 100), (1, 3)).context
        79.25
        """
        return self.held(1)

    def held(self, block: int) -> float:
        """Return the mean tokens of KV cache that a request in decode holds, in whole blocks of `block` tokens.

        >>> Lengths((10, 100), (1, 3)).held(16)
        88.0
        """
        total = sum(_blocks_up_to(p + g, block) - _blocks_up_to(p, block) for p, g in self._pairs())
        return total * block / sum(self.generated)

    def _pairs(self) -> Sequence[tuple[int, int]]:
        return tuple(zip(self.prompt, self.generated, strict=True))


def _blocks_up_to(tokens: int, block: int) -> int:
    """Return the sum of ceil(t / block) for t from 1 to `tokens`."""
    whole, rest = divmod(tokens, block)
    return block * whole * (whole + 1) // 2 + rest * (whole + 1)


def read_lengths_file(path: str | Path) -> Lengths:
    """Return the lengths of a trace, a CSV file with a header; SpecError with every problem of the file."""
    return read_lengths(read_source(path), Path(path).stem)


def read_lengths(source: Source, name: str = "") -> Lengths:
    """Return the lengths of a trace; SpecError for a missing column, a length that is no whole number or below zero.

    Requests that generate nothing do not decode and are left out.

    >>> read_lengths(Source("trace.csv", "prompt_tokens,gen_tokens\\n10,1\\n100,3")).prompt
    (10, 100)
    """
    rows = csv.reader(source.text.splitlines())
    lines = [(row, rows.line_num) for row in rows if row and not row[0].startswith("#")]
    header = [cell.strip() for cell in lines[0][0]] if lines else []
    columns = [_column(source, header, names) for names in (_PROMPT, _GENERATED)]
    problems: list[Problem] = []
    found: list[tuple[int, int]] = []
    for row, line in lines[1:]:
        values = [_length(source, row, column, line, problems) for column in columns]
        if len(problems) >= _MOST_PROBLEMS:
            break
        if values[1] > 0:
            found.append((values[0], values[1]))
    if problems:
        raise SpecError(problems)
    if not found:
        raise SpecError(Problem("no request of the trace generates a token", Span(source, 1, 1)))
    prompt, generated = zip(*found, strict=True)
    return Lengths(prompt, generated, name)


def _column(source: Source, header: list[str], names: tuple[str, ...]) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    hint = suggest(names[0], header) or f"columns are {', '.join(header)}"
    raise SpecError(Problem(f"the trace lacks the column '{names[0]}'", Span(source, 1, 1), hint))


def _length(source: Source, row: list[str], column: int, line: int, problems: list[Problem]) -> int:
    """Return one length; what is wrong with it is recorded, with its place."""
    text = row[column].strip() if column < len(row) else ""
    start = sum(len(cell) + 1 for cell in row[:column]) + 1
    span = Span(source, line, start, max(1, len(text)))
    try:
        value = int(text)
    except ValueError:
        problems.append(Problem(f"a length is a whole number of tokens, found '{text}'", span))
        return 0
    if value < 0:
        problems.append(Problem(f"a length is negative: {value}", span))
        return 0
    return value


def spread_over_devices(lengths: Lengths, batch: int, devices: int, *, seed: int = 0, random: bool = False) -> float:
    """Return the load of the fullest device over the mean, averaged over decode, for `batch` requests in flight.

    A request stays on the device on which it started: the one with the fewest tokens, or any with `random`. A request
    that ends makes room for the next of the trace, drawn at random; lengths repeat as they are.

    >>> 1.0 < spread_over_devices(Lengths((500, 1500), (100, 300)), 64, 4) < 1.1
    True
    """
    draw = Random(seed)
    load = [0] * devices  # tokens at step 0 of the requests now there, if all had started then
    many = [0] * devices
    running: list[tuple[int, int, int]] = []
    step, total, weight = 0, 0.0, 0
    for n in range(batch + _WARM * batch + _SAMPLES):
        if n >= batch:
            end, place, offset = heapq.heappop(running)
            if n >= batch + _WARM * batch and end > step:
                tokens = [a + step * c for a, c in zip(load, many, strict=True)]
                total += max(tokens) * devices / sum(tokens) * (end - step)
                weight += end - step
            step = end
            load[place] -= offset
            many[place] -= 1
        at = draw.randrange(len(lengths.prompt))
        prompt, generated = lengths.prompt[at], lengths.generated[at]
        place = draw.randrange(devices)
        if not random:
            place = min(range(devices), key=lambda d: load[d] + step * many[d])
        # The first requests are met in the middle of their answers, as a running system has them.
        begun = draw.randrange(generated) if n < batch else 0
        offset = prompt + begun - step
        load[place] += offset
        many[place] += 1
        heapq.heappush(running, (step + generated - begun, place, offset))
    return total / weight if weight else 1.0


_WARM = 2
_SAMPLES = 2000
