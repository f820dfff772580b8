"""One attention problem: its shape, its numbers, how it is timed; and the work that any kernel must do for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from einsum_cascades.diagnostics import Problem as Finding
from einsum_cascades.diagnostics import SpecError, suggest
from simulator.targets.gpu.counts import count_pairs

__all__ = ["BITS", "OPS", "PASSES", "TIMINGS", "Problem", "bounds_of_mask", "timing_mode"]

OPS = ("sdpa", "mla", "linear")
PASSES = ("fwd", "bwd", "fwdbwd", "decode")
TIMINGS = ("burst", "eager", "cudagraph", "sustained", "sustained_1s", "locked")
# Bits of an element as it lies in memory; the two products of a mixed kernel read Q and K in 8 bits, V in its own.
BITS = {
    "fp32": 32, "fp16": 16, "bf16": 16, "fp8": 8, "mxfp8": 8, "int8": 8, "fp4": 4,
    "int8qk_fp16pv": 16, "int8qk_fp8pv": 8,
}  # fmt: skip
_FAR = 1 << 30  # a mask bound beyond any column


@dataclass(frozen=True, slots=True)
class Problem:
    """An attention call: heads share keys in groups of q_heads / kv_heads, causal masks are aligned lower right.

    `kv_len` counts the keys that a query may see (in decode the cache); `window` the last keys kept for each query,
    0 for all; `page_keys` the keys of a page of the cache, which no time depends on. `lengths` gives (q_len, kv_len)
    of each request of a ragged batch in place of the common ones. `timing` says in what state of clocks it is timed:
    `burst`, `eager` (burst, each call launched from Python), `cudagraph` (short replays), `sustained`, `sustained_1s`
    (at the power cap), or `locked` at `clock_hz`.
    """

    pass_: Literal["fwd", "bwd", "fwdbwd", "decode"] = "fwd"
    batch: int = 1
    q_heads: int = 1
    kv_heads: int = 1
    head_dim: int = 128
    q_len: int = 1
    kv_len: int = 1
    v_head_dim: int = 0
    causal: bool = False
    window: int = 0
    dtype: str = "bf16"
    kv_dtype: str = ""
    timing: str = "burst"
    clock_hz: float = 0.0
    op: str = "sdpa"
    splits: int = 0
    page_keys: int = 0
    lengths: tuple[tuple[int, int], ...] = ()

    def completed(self) -> Problem:
        """Return this problem with what was left open filled in; SpecError with everything that is wrong with it."""
        made = replace(self, v_head_dim=self.v_head_dim or self.head_dim, kv_dtype=self.kv_dtype or self.dtype)
        found = tuple(made.find_problems())
        if found:
            raise SpecError(found)
        return made

    def find_problems(self) -> Iterator[Finding]:
        """Yield what makes this no attention problem."""
        for name in ("batch", "q_heads", "kv_heads", "head_dim", "v_head_dim", "q_len", "kv_len"):
            if getattr(self, name) < 1:
                yield Finding(f"{name} is {getattr(self, name)}, but must be at least 1")
        if self.kv_heads > 0 and self.q_heads % self.kv_heads:
            yield Finding(
                f"{self.q_heads} query heads do not divide into groups for {self.kv_heads} key heads",
                hint=f"q_heads must be a multiple of {self.kv_heads}",
            )
        for name in ("window", "splits", "page_keys"):
            if getattr(self, name) < 0:
                yield Finding(f"{name} is negative")
        for name, value, legal in (
            ("dtype", self.dtype, BITS), ("kv_dtype", self.kv_dtype, BITS), ("pass", self.pass_, PASSES),
            ("timing", self.timing, TIMINGS), ("op", self.op, OPS),
        ):  # fmt: skip
            if value not in legal:
                yield Finding(f"unknown {name} '{value}'", hint=suggest(value, legal) or f"one of {', '.join(legal)}")
        if self.timing == "locked" and self.clock_hz <= 0:
            yield Finding("a locked clock needs its frequency", hint="write e.g. locked:1.755GHz")
        for q, k in self.lengths:
            if q < 1 or k < 1:
                yield Finding(f"a request of {q} queries and {k} keys; both must be at least 1")

    def requests(self) -> tuple[tuple[int, int, int], ...]:
        """Return (how many, q_len, kv_len) of the requests of the batch."""
        if not self.lengths:
            return ((self.batch, self.q_len, self.kv_len),)
        counts: dict[tuple[int, int], int] = {}
        for pair in self.lengths:
            counts[pair] = counts.get(pair, 0) + 1
        return tuple((n, q, k) for (q, k), n in counts.items())

    @property
    def masked(self) -> bool:
        """Whether a mask makes the query tiles unequal."""
        return self.causal or self.window > 0

    def pairs(self) -> int:
        """Return the (query, key) pairs that are kept, over all requests, of one head.

        >>> Problem(q_len=4, kv_len=4, causal=True).pairs()
        10
        """
        return sum(
            n * count_pairs(q, k, *bounds_of_mask(q, k, self.causal, self.window)) for n, q, k in self.requests()
        )

    def flop(self) -> float:
        """Return the FLOP by convention: 2 pairs (d + d_v) a head, backward 2 pairs (3 d + 2 d_v), both for both.

        >>> Problem(q_len=2, kv_len=2, head_dim=64).completed().flop()
        1024.0
        """
        d, dv = self.head_dim, self.v_head_dim or self.head_dim
        forward, backward = d + dv, 3 * d + 2 * dv
        per_pair = {"bwd": backward, "fwdbwd": forward + backward}.get(self.pass_, forward)
        return 2.0 * self.pairs() * self.q_heads * per_pair


def bounds_of_mask(q_len: int, kv_len: int, causal: bool, window: int) -> tuple[int, int]:
    """Return (low, high): query r keeps the keys r + low .. r + high - 1.

    >>> bounds_of_mask(4, 6, True, 2)
    (1, 3)
    """
    offset = kv_len - q_len
    if causal:
        return (offset - window + 1 if window else -_FAR), offset + 1
    if window:
        return offset - window + 1, offset + window
    return -_FAR, _FAR


def timing_mode(text: str) -> str:
    """Return the mode of a timing label of a measurement: `burst_cupti` is burst, an unknown one eager.

    >>> timing_mode("burst_cupti"), timing_mode("profiler"), timing_mode("sustained_locked")
    ('burst', 'burst', 'locked')
    """
    if text == "burst_event":
        return "eager"
    if text.startswith(("burst", "profiler", "cupti")):
        return "burst"
    if text in ("locked", "sustained_locked"):
        return "locked"
    return text if text in TIMINGS else "eager"
