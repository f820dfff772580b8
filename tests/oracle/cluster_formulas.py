"""Decode on one pool, or on a compute and a memory pool, from the formulas of Lamina (arXiv 2405.01814v2).

Plain arithmetic on the published symbols: N parameters, d hidden, L layers, G query heads of a KV head, e = 2 bytes.
"""

from dataclasses import dataclass
from math import floor, isinf


@dataclass(frozen=True)
class Card:
    flops: float
    memory: float
    bandwidth: float


H100 = Card(989e12, 80e9, 3.35e12)
H20 = Card(148e12, 96e9, 4.0e12)


@dataclass(frozen=True)
class Shape:
    weights: float
    layers: int
    hidden: int
    group: int

    @property
    def kv(self):
        return 2 * 2 * self.hidden * self.layers / self.group

    @property
    def exchanged(self):
        return (2 + 2 / self.group) * 2 * self.hidden * self.layers


SHAPES = {
    "llama_33b": Shape(64.7e9, 60, 6656, 1),
    "llama_65b": Shape(130.1e9, 80, 8192, 1),
    "llama3_70b": Shape(137.5e9, 80, 8192, 8),
}
USABLE, LINEAR_BANDWIDTH, LINEAR_COMPUTE, ATTENTION, ATTENTION_COMPUTE = 0.9, 0.8, 0.65, 0.75, 0.65
ROUND_TRIP, NIC = 33e-6, 45.7e9


def linear_s(shape, batch, card, count, sharpness=float("inf")):
    compute = 2 * (shape.weights / 2) * batch / (count * card.flops * LINEAR_COMPUTE)
    bandwidth = shape.weights / (count * card.bandwidth * LINEAR_BANDWIDTH)
    if isinf(sharpness):
        return max(compute, bandwidth)
    return (compute**sharpness + bandwidth**sharpness) ** (1 / sharpness)


def attention_s(shape, batch, context, card, count):
    reads = batch * context * shape.kv / (count * card.bandwidth * ATTENTION)
    flops = 4 * batch * context * shape.hidden * shape.layers / (count * card.flops * ATTENTION_COMPUTE)
    return max(reads, flops)


def link_s(shape, batch, nics):
    return shape.exchanged * batch / (nics * NIC) + shape.layers * ROUND_TRIP


def rate(shape, batch, context, compute, memory, batches):
    """Tokens/s of all batches: the larger of one batch's way and what each pool has to do."""
    each = batch / batches
    linear, attention = linear_s(shape, each, H100, compute), attention_s(shape, each, context, H20, memory)
    period = linear + attention + link_s(shape, each, compute)
    if batches > 1:
        period = max(period, batches * linear / (batches - 1), batches * attention)
    return batch / period


def room(shape, context, compute, memory):
    return floor(memory * H20.memory * USABLE / (shape.kv * context))


def room_together(shape, context, count):
    return floor((count * H100.memory * USABLE - shape.weights) / (shape.kv * context))


def rate_together(shape, batch, context, count):
    return batch / (linear_s(shape, batch, H100, count) + attention_s(shape, batch, context, H100, count))


def least_bandwidth(shape, batch, context, compute, memory, allowance=0.2):
    work = linear_s(shape, batch, H100, compute) + attention_s(shape, batch, context, H20, memory)
    return shape.exchanged * batch / (allowance * work)


def query_first(shape, batch, context, compute, memory):
    """Share by which one batch is faster when attention starts with the query, per layer."""
    nics, d, group = compute, shape.hidden, shape.group
    linear = linear_s(shape, batch, H100, compute) / shape.layers
    attention = attention_s(shape, batch, context, H20, memory) / shape.layers
    new = attention / context
    share = 2 * d * d / group / (shape.weights / 2 / shape.layers)
    q, kv = 2 * d * batch / (nics * NIC), 4 * d / group * batch / (nics * NIC)
    hop = ROUND_TRIP / 2
    without = linear + hop + q + kv + attention + hop + q
    after_q = max(hop + q + attention - new, linear * share + hop + kv)
    return without / (linear * (1 - share) + after_q + new + hop + q) - 1
