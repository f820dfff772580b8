"""Three mappings of neighborhood attention on a GPU: naive, as batched matrix products, fused.

One cascade: scores QK, their maximum GM, exponentials SN, sums SD, weights A, output AV. The mappings differ in what
runs the two products, in which keys a query brings in, and in what goes through memory between groups of Einsums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import prod
from typing import Literal

from arch_specs.gpu import Gpu
from simulator.bounds import bound_group
from simulator.masks.gna import GnaCounts, count_windows
from simulator.masks.windows import make_windows
from simulator.taskgraph import Edge, Group, Program, Resource, Task, TaskGraph

__all__ = ["KERNELS", "NaiveReads", "Shape", "bound_program", "lower_kernel"]

KERNELS = ("naive", "gemm", "fused")
# From where a thread of the naive kernel has the keys of its window: L2 for each query, or once for a tile of queries.
NaiveReads = Literal["each", "tile"]
_TILES = {
    1: (64,),
    2: (8, 8),
    3: (4, 4, 4),
}  # queries, and keys from the first one needed: 64 each in CUTLASS 2 kernels
_SOFTMAX_OPS = 4  # maximum, difference, sum, quotient: each a lane for a clock
_WORD = {"fp16": 2, "fp32": 4}
_TF32_SHARE = Fraction(1, 2)  # of the 16-bit rate: 156 of 312 TFLOP/s, NVIDIA A100 white paper
_RESOURCES = ("tensor", "lanes", "exp", "l2", "dram")


@dataclass(frozen=True, slots=True)
class Shape:
    """A problem: a map, its window and dilation in each dimension, heads (times batch) of extent `head_dim`."""

    extents: tuple[int, ...]
    window: tuple[int, ...]
    dilation: tuple[int, ...]
    heads: int
    head_dim: int
    dtype: Literal["fp16", "fp32"]

    @property
    def tensor_bytes(self) -> int:
        """The bytes of Q, as many as of K, V and the output."""
        return prod(self.extents) * self.heads * self.head_dim * _WORD[self.dtype]

    def count(self) -> GnaCounts:
        """Return the pairs and tiles of a head."""
        rank = len(self.extents)
        windows = make_windows(self.extents, self.window, (1,) * rank, self.dilation, (0,) * rank)
        return count_windows(windows, _TILES[rank], _TILES[rank])


def bound_program(program: Program) -> tuple[float, tuple[str, ...]]:
    """Return the least seconds of a program and what bounds each of its groups."""
    bounds = [(bound_group(group), group.graph.tick_s) for group in program.groups]
    return sum(float(bound.latency) * tick for bound, tick in bounds), tuple(bound.resource for bound, _ in bounds)


def lower_kernel(kernel: str, shape: Shape, gpu: Gpu, reads: NaiveReads = "each") -> Program:
    """Return a kernel as groups of tasks on a card's resources; an iteration is a Q tile, everything inside overlaps.

    Each group is a launch that waits for the one before. A group's least time is that of its busiest resource.

    >>> from arch_specs.load_gpu import load_gpu
    >>> shape = Shape((4096,), (127,), (1,), 32, 64, "fp16")
    >>> [len(lower_kernel(name, shape, load_gpu("a100_sxm_80")).groups) for name in KERNELS]
    [3, 3, 1]
    """
    counts = shape.count()
    tiles = counts.q_tiles * shape.heads
    phases = _fused(shape, counts) if kernel == "fused" else tuple(_unfused(kernel == "gemm", shape, counts, reads))
    return Program(tuple(Group(_graph(phase, tiles, shape, gpu), tiles) for phase in phases))


Amounts = dict[str, int]  # resource -> FLOP, operations or bytes, over the whole call
Phase = dict[str, Amounts]  # Einsum -> amounts


def _unfused(tensor: bool, shape: Shape, counts: GnaCounts, reads: NaiveReads) -> Iterator[Phase]:
    """Yield the groups of an unfused kernel: scores and weights of the allowed pairs go through memory."""
    pairs, word, d = counts.allowed_pairs * shape.heads, _WORD[shape.dtype], shape.head_dim
    slots = counts.dynamic_tiles * _slots(shape) * shape.heads
    product = {"tensor": 2 * slots * d} if tensor else {"lanes": pairs * d}
    by_tile = slots // prod(_TILES[len(shape.extents)]) * d * word  # a key once for each Q tile
    keys = by_tile if tensor or reads == "tile" else pairs * d * word
    through = {**product, "l2": keys, "dram": 2 * shape.tensor_bytes + pairs * word}
    yield {"QK": through}
    yield {
        "GM": {"lanes": pairs, "dram": pairs * word},
        "SN": {"lanes": pairs, "exp": pairs},
        "SD": {"lanes": pairs},
        "A": {"lanes": pairs, "dram": pairs * word},
    }
    yield {"AV": through}


def _fused(shape: Shape, counts: GnaCounts) -> tuple[Phase, ...]:
    """Return the one group of a fused kernel: whole tiles of scores on chip, Q, K, V and the output through memory."""
    slots, word, d = counts.dynamic_tiles * _slots(shape) * shape.heads, _WORD[shape.dtype], shape.head_dim
    keys = slots // prod(_TILES[len(shape.extents)]) * d * word
    product = {"tensor": 2 * slots * d, "l2": keys, "dram": 2 * shape.tensor_bytes}
    softmax = {"GM": {"lanes": slots}, "SN": {"lanes": slots, "exp": slots}, "SD": {"lanes": slots}}
    return ({"QK": product, **softmax, "AV": product},)


def _slots(shape: Shape) -> int:
    """Return the scores of a pair of tiles."""
    return prod(_TILES[len(shape.extents)]) ** 2


def _graph(phase: Phase, tiles: int, shape: Shape, gpu: Gpu) -> TaskGraph:
    """Return one Q tile's share of a phase; a tick is a clock of the card."""
    rates = _rates(shape, gpu)
    tasks = tuple(
        Task(
            einsum,
            {name: Fraction(amount, tiles) / rates[name] for name, amount in amounts.items()},
            Fraction(0),
            einsum=einsum,
        )
        for einsum, amounts in phase.items()
    )
    edges = tuple(Edge(first, second) for first, second in pairwise(phase))
    resources = tuple(Resource(name, scope="chip") for name in _RESOURCES)
    return TaskGraph(resources, tasks, edges, 1 / gpu.clock_rated_hz)


def _rates(shape: Shape, gpu: Gpu) -> dict[str, Fraction]:
    """Return what the card does in a clock: FLOP of tensor cores, operations of lanes and exp units, bytes."""
    tensor = gpu.sm_count * Fraction(gpu.mma("fp16", "sync"))
    clock = Fraction(gpu.clock_rated_hz)
    return {
        "tensor": tensor if shape.dtype == "fp16" else tensor * _TF32_SHARE,
        "lanes": Fraction(gpu.sm_count * gpu.fp32_lanes),
        "exp": gpu.sm_count * Fraction(gpu.exp_per_clk),
        "l2": Fraction(gpu.l2_bytes_per_s) / clock,
        "dram": Fraction(gpu.dram_bytes_per_s) / clock,
    }
