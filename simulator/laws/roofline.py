"""The least time of a cascade on a machine: work over the rate of what can do it, the largest of three.

    GPU:    max(matrix / tensor cores, special functions / special-function units, words / DRAM)
    array:  max(words / DRAM, over every set of compute parts: cycles of what they alone can do / their lanes)

Matrix work are products whose sum is taken in the same Einsum. Words move once: an input that is read, an output.
Additions, comparisons and rescaling depend on the tile that a kernel takes and are left out, and so are operators that
a cascade defines, so that no mapping of the cascade takes less time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from arch_specs.gpu import Gpu
from arch_specs.model import Architecture
from einsum_cascades.counts import compulsory_words, count_operations
from einsum_cascades.diagnostics import MappingError
from einsum_cascades.ir import Cascade

__all__ = ["Bound", "Work", "bound_on_array", "bound_on_gpu", "measure_work"]

# What a special-function unit does, and what an array does in its place where it has no such operation.
_SPECIAL: dict[str, tuple[str, ...]] = {
    "exp": ("exp",), "div": ("div",), "recip": ("div",), "sigmoid": ("exp", "div"), "tanh": ("exp", "div"),
    "log": ("log",), "softplus": ("exp", "log"), "sqrt": ("sqrt",), "rsqrt": ("sqrt", "div"), "cos": ("cos",),
    "sin": ("sin",), "pow": ("exp", "log"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """What a cascade computes and must move: products that are summed, special functions by class, words."""

    products: float
    special: Mapping[str, float]
    words: float

    @property
    def matrix_flop(self) -> float:
        """FLOP of products that are summed: two each."""
        return 2 * self.products

    def times(self, copies: int) -> Work:
        """Return the work of so many runs side by side that share nothing.

        >>> Work(1.0, {}, 2.0).times(3)
        Work(products=3.0, special={}, words=6.0)
        """
        return Work(self.products * copies, {op: n * copies for op, n in self.special.items()}, self.words * copies)


@dataclass(frozen=True, slots=True)
class Bound:
    """The least seconds, and of what: `matrix`, `exp`, `memory`, or names of an array's parts."""

    seconds: float
    by: str


def measure_work(cascade: Cascade, extents: Mapping[str, int]) -> Work:
    """Return the work of a cascade at all of its extents.

    >>> from einsum_cascades.parser import parse
    >>> c = parse("cascade dot\\nextent K\\ninput A[K] B[K]\\noutput Z[]\\nZ[] = A[k] * B[k]")
    >>> measure_work(c, {"K": 8})
    Work(products=8.0, special={}, words=17.0)
    """
    products = 0.0
    special: dict[str, float] = {}
    for counts in count_operations(cascade).values():
        found = {op: float(n.evaluate(extents)) for op, n in counts.items() if op in ("mul", "acc", *_SPECIAL)}
        products += min(found.pop("mul", 0.0), found.pop("acc", 0.0))
        for op, n in found.items():
            special[op] = special.get(op, 0.0) + n
    words = float(compulsory_words(cascade).evaluate(extents))
    return Work(products, {op: n for op, n in sorted(special.items()) if n}, words)


def bound_on_gpu(work: Work, gpu: Gpu, dtype: str = "bf16", *, word_bytes: float = 2.0) -> Bound:
    """Return the least seconds of some work on a card at its rated clock, and the unit that takes them.

    Raises MappingError where the card has no tensor cores for `dtype`.

    >>> from arch_specs.load_gpu import load_gpu
    >>> bound_on_gpu(Work(1e12, {}, 1e6), load_gpu("h100_sxm")).by
    'matrix'
    """
    path = "async" if "async" in gpu.mma_flop_per_clk.get(dtype, {}) else "sync"
    special_per_s = gpu.exp_per_clk * gpu.sm_count * gpu.clock_rated_hz
    seconds = {
        "matrix": work.matrix_flop / gpu.flop_per_s(dtype, path),
        "exp": sum(work.special.values()) / special_per_s,
        "memory": work.words * word_bytes / gpu.dram_bytes_per_s,
    }
    by = max(seconds, key=lambda unit: seconds[unit])
    return Bound(seconds[by], by)


def bound_on_array(work: Work, machine: Architecture, *, word_bytes: float = 2.0) -> Bound:
    """Return the least seconds of some work on an array, and of which parts; MappingError where it lacks an operation.

    >>> from simulator.library import load_machine
    >>> bound_on_array(Work(65792 * 940e6, {}, 1e6), load_machine("fusemax")).seconds
    1.0
    """
    asked = {"mac": work.products} if work.products else {}
    for op, n in work.special.items():
        for simple in _SPECIAL[op]:
            asked[simple] = asked.get(simple, 0.0) + n
    cycles = {op: {p.name: c for p in machine.computes if (c := p.cycles(op)) is not None} for op in asked}
    if missing := [op for op, able in cycles.items() if not able]:
        raise MappingError(f"{machine.name} has no part that does {', '.join(missing)}")
    found = {"memory": _memory_time(work.words * word_bytes, machine)}
    for count in range(1, len(machine.computes) + 1):
        for chosen in combinations(machine.computes, count):
            names = {p.name for p in chosen}
            busy = sum(n * float(min(cycles[op].values())) for op, n in asked.items() if set(cycles[op]) <= names)
            lanes = sum(p.lanes for p in chosen)
            found[" + ".join(p.name for p in chosen)] = busy / lanes / machine.clock_hz
    by = max(found, key=lambda part: found[part])
    return Bound(found[by], by)


def _memory_time(moved: float, machine: Architecture) -> float:
    """Return the seconds in which the outermost memory moves so many bytes; nothing where it has no bound."""
    outer = next(m for m in machine.memories if m.parent is None)
    rate = outer.bandwidth_bytes_per_s or outer.read_bytes_per_s
    return moved / float(rate) if rate else 0.0
