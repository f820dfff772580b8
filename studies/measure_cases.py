"""What is measured on a card, in order of value: a run that is cut short is still of use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from einsum_cascades.diagnostics import Problem, SpecError, suggest

__all__ = ["STAGES", "Case", "plan_cases"]

Mode = Literal["cold", "graph", "sustained"]
_TOKENS, _HIDDEN = 16384, 2048


@dataclass(frozen=True, slots=True)
class Case:
    """One attention problem and how it is timed: `cold` single calls with a cold L2 cache, calls in a CUDA `graph`, or
    `sustained` back to back. `zeros` makes all inputs zero.
    """

    stage: str
    pass_: Literal["fwd", "bwd", "decode"]
    batch: int
    heads_q: int
    heads_kv: int
    head_dim: int
    seq_q: int
    seq_kv: int
    causal: bool = False
    dtype: Literal["bf16", "fp16"] = "bf16"
    mode: Mode = "cold"
    zeros: bool = False

    @property
    def tokens_bytes(self) -> int:
        """The bytes of Q, K, V and O at two bytes an element."""
        queries, keys = self.heads_q * self.seq_q, self.heads_kv * self.seq_kv
        return 4 * self.batch * self.head_dim * (queries + keys)


def plan_cases(stages: Sequence[str] = (), smoke: bool = False) -> tuple[Case, ...]:
    """Return the cases of some stages (all, where none is named), in order of value; SpecError for an unknown stage.

    With `smoke` two tiny ones of each stage, which a CPU can run.

    >>> len({case.stage for case in plan_cases()}) == len(STAGES)
    True
    """
    wrong = [name for name in stages if name not in STAGES]
    if wrong:
        known = f"one of {', '.join(STAGES)}"
        raise SpecError([Problem(f"unknown stage '{name}'", hint=suggest(name, STAGES) or known) for name in wrong])
    cases = tuple(case for name, make in STAGES.items() if not stages or name in stages for case in make())
    if not smoke:
        return cases
    return tuple(_tiny(case) for name in STAGES for case in [c for c in cases if c.stage == name][:2])


def _tiny(case: Case) -> Case:
    few = 2 if case.heads_q > case.heads_kv else 1
    queries = 1 if case.pass_ == "decode" else 16
    return replace(case, batch=1, heads_q=few, heads_kv=1, head_dim=16, seq_q=queries, seq_kv=max(32, queries))


def _grid(stage: str, pass_: Literal["fwd", "bwd"], lengths: Sequence[int]) -> Iterator[Case]:
    """Yield the grid of the FlashAttention papers: 16k tokens in all, a hidden width of 2,048."""
    for head_dim in (128, 64, 256):
        heads = _HIDDEN // head_dim
        for extent in lengths:
            for causal in (True, False):
                yield Case(stage, pass_, _TOKENS // extent, heads, heads, head_dim, extent, extent, causal)


def _prefill() -> Iterator[Case]:
    for case in _grid("prefill", "fwd", (16384, 4096, 1024, 8192, 2048, 512)):
        yield case
        if case.seq_q <= 2048:
            yield replace(case, mode="graph")


def _backward() -> Iterator[Case]:
    yield from _grid("backward", "bwd", (16384, 4096, 1024, 8192, 2048, 512))


def _decode() -> Iterator[Case]:
    """One query of each request against caches that fit no cache and some that do, up to 24 GB."""
    for heads, groups, head_dim in ((32, 8, 128), (64, 8, 128), (16, 1, 128), (32, 32, 128), (16, 2, 64)):
        for batch in (1, 8, 64, 256):
            for cached in (1024, 8192, 65536, 262144):
                case = Case("decode", "decode", batch, heads, groups, head_dim, 1, cached)
                if case.tokens_bytes <= 24e9:
                    yield case
                    yield replace(case, mode="graph")


def _grouped() -> Iterator[Case]:
    """Grouped heads, a chunk of queries against a longer cache, and extents that no tile divides."""
    for heads, groups, queries, keys in (
        *((32, 8, n, n) for n in (1024, 4096, 16384)),
        *((32, 8, q, k) for q in (64, 512, 2048) for k in (4096, 32768, 131072)),
        (28, 4, 1000, 1000),
        (40, 8, 777, 777),
    ):
        yield Case("grouped", "fwd", 1, heads, groups, 128, queries, keys, True)


def _waves() -> Iterator[Case]:
    """Equal query tiles, walked across multiples of the number of SMs: what a round and a tile cost."""
    for extent in (2048, 4096):
        for heads in (1, 2, 4, 6, 8, 9, 12, 16, 17, 20, 24, 25, 32, 33, 40, 41):
            yield Case("waves", "fwd", 1, heads, heads, 128, extent, extent)


def _power() -> Iterator[Case]:
    """Seconds of the same call, with random inputs and with zeros: the clock that the power limit leaves."""
    for case in (
        Case("power", "fwd", 1, 16, 16, 128, _TOKENS, _TOKENS, mode="sustained"),
        Case("power", "fwd", 1, 16, 16, 128, _TOKENS, _TOKENS, True, mode="sustained"),
        Case("power", "fwd", 1, 32, 32, 64, _TOKENS, _TOKENS, mode="sustained"),
        Case("power", "decode", 64, 32, 8, 128, 1, _TOKENS, mode="sustained"),
    ):
        yield case
        yield replace(case, zeros=True)


# stage -> its cases, in order of value
STAGES = {
    "prefill": _prefill,
    "decode": _decode,
    "backward": _backward,
    "grouped": _grouped,
    "waves": _waves,
    "power": _power,
}
