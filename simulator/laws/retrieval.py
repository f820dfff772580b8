"""RetrievalAttention (arXiv 2409.10516): a window of keys on the device, an index over the others on the host.

    step = weights / (bandwidth x efficiency) + layers x (max(window, heads x scanned x keys x key time) + sync)

The window and the index work at a time. `key_s` is the time of the whole host for one scanned key: random access.
"""

from __future__ import annotations

from dataclasses import dataclass

from einsum_cascades.diagnostics import Problem, SpecError
from simulator.transformer import Model

__all__ = ["DecodeDevice", "HostIndex", "exact_host_step", "retrieval_step", "solve_key_time", "stream_step"]


@dataclass(frozen=True, slots=True)
class DecodeDevice:
    """The device that holds the weights: memory bandwidth, the share of it that a matrix-vector product reaches."""

    bytes_per_s: float
    efficiency: float = 0.85


@dataclass(frozen=True, slots=True)
class HostIndex:
    """An index on the host: the share of keys that a query scans, seconds for each, hand-over seconds a layer."""

    scanned: float
    key_s: float
    sync_s: float = 0.0

    def __post_init__(self) -> None:
        problems = []
        if not 0 <= self.scanned <= 1:
            problems.append(Problem(f"a query scans a share of the keys from 0 to 1, found {self.scanned}"))
        if min(self.key_s, self.sync_s) < 0:
            problems.append(Problem("seconds of an index are not negative"))
        if problems:
            raise SpecError(problems)


def _weights(model: Model, device: DecodeDevice) -> float:
    return model.weight_bytes / (device.bytes_per_s * device.efficiency)


def _window(model: Model, device: DecodeDevice, keys: int) -> float:
    """Return the seconds in which one layer reads so many keys and values from the device's memory."""
    return keys * model.kv_bytes_per_token / model.layers / (device.bytes_per_s * device.efficiency)


def retrieval_step(model: Model, device: DecodeDevice, index: HostIndex, context: int, window: int = 640) -> float:
    """Return the seconds of one token, batch 1: a window on the device while the host scans its index.

    >>> from simulator.library import load_model
    >>> index = HostIndex(scanned=0.02, key_s=63e-9)
    >>> round(retrieval_step(load_model("llama3_8b"), DecodeDevice(1.008e12), index, 131072), 3)
    0.187
    """
    kept = min(window, context)
    scan = model.heads * index.scanned * (context - kept) * index.key_s
    layer = max(_window(model, device, kept), scan) + index.sync_s
    return _weights(model, device) + model.layers * layer


def stream_step(model: Model, device: DecodeDevice, link_bytes_per_s: float, context: int) -> float:
    """Return the least seconds of one token whose whole KV cache crosses a link; weights are read meanwhile.

    >>> from simulator.library import load_model
    >>> round(stream_step(load_model("llama3_8b"), DecodeDevice(1.008e12), 25e9, 131072), 2)
    0.69
    """
    return max(context * model.kv_bytes_per_token / link_bytes_per_s, _weights(model, device))


def exact_host_step(model: Model, device: DecodeDevice, host_bytes_per_s: float, context: int) -> float:
    """Return the seconds of one token whose attention the host does exactly, at its memory bandwidth.

    >>> from simulator.library import load_model
    >>> round(exact_host_step(load_model("llama3_8b"), DecodeDevice(1.008e12), 60e9, 131072), 3)
    0.305
    """
    return context * model.kv_bytes_per_token / host_bytes_per_s + _weights(model, device)


def solve_key_time(
    model: Model, device: DecodeDevice, scanned: float, context: int, step_s: float, window: int = 640
) -> float:
    """Return the seconds for a scanned key that make a step take `step_s`; SpecError where the weights take longer.

    >>> from simulator.library import load_model
    >>> round(solve_key_time(load_model("llama3_8b"), DecodeDevice(1.008e12), 0.02, 131072, 0.188) * 1e9, 1)
    63.4
    """
    left = step_s - _weights(model, device)
    if left <= 0:
        raise SpecError(f"{step_s} s are less than the weights alone take, {_weights(model, device):.3f} s")
    return left / (model.layers * model.heads * scanned * (context - min(window, context)))
