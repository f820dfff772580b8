"""Exact attention of one long sequence over several devices: each holds a block of queries, keys and values.

Ring: blocks of K and V go around while the block at hand is attended to: n steps of max(compute, send) but the last.
All-gather: every device first collects all of K and V. Both compute the same operations.
After the distributed attention of "A Unified View of Long-Sequence Models" (arXiv 2302.06218) and ring attention
(arXiv 2310.01889).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from einsum_cascades.diagnostics import SpecError
from simulator.taskgraph import Edge, Group, Resource, Task, TaskGraph

__all__ = ["Devices", "LongSequence", "gather_time", "largest_length", "lower_ring", "ring_time"]


@dataclass(frozen=True, slots=True)
class LongSequence:
    """Self-attention over one sequence: `length` tokens, heads, extent of a head, bytes of an element."""

    length: int
    heads: int
    head_dim: int
    element_bytes: int = 2

    @property
    def flop(self) -> int:
        """The operations of both products, no mask."""
        return 4 * self.heads * self.length**2 * self.head_dim

    @property
    def kv_bytes(self) -> int:
        """The bytes of K and V."""
        return 2 * self.heads * self.length * self.head_dim * self.element_bytes


@dataclass(frozen=True, slots=True)
class Devices:
    """`count` equal devices in a ring: operations and bytes a second of each, bytes of memory."""

    count: int
    flop_per_s: float
    link_bytes_per_s: float
    memory_bytes: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SpecError(f"{self.count} devices: at least 1")


def _step(sequence: LongSequence, devices: Devices) -> tuple[float, float]:
    """Return the seconds to attend to one block of keys, and to send it on."""
    n = devices.count
    return sequence.flop / n**2 / devices.flop_per_s, sequence.kv_bytes / n / devices.link_bytes_per_s


def ring_time(sequence: LongSequence, devices: Devices) -> float:
    """Return the seconds of ring attention: n steps, in all but the last of which a block is sent on meanwhile.

    >>> four = Devices(4, 165e12, 25e9, 24 * 10**9)
    >>> round(ring_time(LongSequence(65536, 32, 128), four), 3)
    0.107
    """
    compute, send = _step(sequence, devices)
    return (devices.count - 1) * max(compute, send) + compute


def gather_time(sequence: LongSequence, devices: Devices) -> float:
    """Return the seconds where K and V are collected first, n - 1 blocks into every device, and nothing overlaps.

    >>> four = Devices(4, 165e12, 25e9, 24 * 10**9)
    >>> round(gather_time(LongSequence(65536, 32, 128), four), 3)
    0.139
    """
    compute, send = _step(sequence, devices)
    return (devices.count - 1) * send + devices.count * compute


def lower_ring(sequence: LongSequence, devices: Devices) -> Group:
    """Return ring attention as a task graph: one device's compute and link, a block of keys an iteration."""
    compute, send = (Fraction(round(seconds * 1e9)) for seconds in _step(sequence, devices))
    n = devices.count
    attend = Task("attend", {"device": compute}, compute, work=Fraction(sequence.flop, n**2), einsum="SLNV")
    resources: tuple[Resource, ...] = (Resource("device"), Resource("link"))
    if n == 1:
        return Group(TaskGraph(resources[:1], (attend,), (), 1e-9), 1)
    # A block is sent on while it is attended to, in the first n - 1 of the n steps, into the neighbour's other buffer.
    moved = Fraction(sequence.kv_bytes, n)
    sends = Task("send", {"link": send}, send, work=moved, every=2, burst=n - 1)
    edges = (
        Edge("send", "attend", distance=1),
        Edge("send", "send", distance=1),
        Edge("attend", "send", distance=1, kind="buffer"),
    )
    return Group(TaskGraph(resources, (attend, sends), edges, 1e-9), n)


def largest_length(devices: Devices, heads: int, head_dim: int, *, score_copies: float, element_bytes: int = 2) -> int:
    """Return the longest sequence that fits: four tensors of its tokens, four blocks on their way, scores.

    A device that materializes scores holds `score_copies` times (length / n)^2 of them for each head; 0 where they
    stay on chip. One device has nothing on its way.

    >>> one = Devices(1, 165e12, 25e9, 24 * 10**9)
    >>> [largest_length(one, 16, 64, score_copies=copies) for copies in (0, 1, 2)]
    [2929687, 27258, 19301]
    """
    n = devices.count
    tensors = 4 + (4 if n > 1 else 0)
    linear = tensors * heads * head_dim * element_bytes
    square = score_copies * heads * element_bytes
    if not square:
        return n * (devices.memory_bytes // linear)
    block = int((-linear + (linear**2 + 4 * square * devices.memory_bytes) ** 0.5) / (2 * square))
    return n * max(block, 0)
