"""The regime of many outcomes at once: the rules of `explain.classify` over columns."""

from __future__ import annotations

import numpy as np

from simulator.targets.gpu import columns as c
from simulator.targets.gpu.explain import REGIMES

__all__ = ["classify_columns"]

_NUMBER = {name: i for i, name in enumerate(REGIMES)}
_OF_PIPE = np.array([_NUMBER[name] for name in ("tensor", "exp", "exp", "tensor", "L2", "memory", "wave")])


def classify_columns(out: np.ndarray) -> np.ndarray:
    """Return the regime of each outcome as its place in `REGIMES`."""
    latency, launch, edge, memory = (out[:, place] for place in (c.LATENCY, c.T_LAUNCH, c.T_EDGE, c.MEMORY))
    work = latency - launch - edge
    losses = out[:, [c.T_WAVE, c.T_POWER, c.T_L2]]
    lost = np.array([_NUMBER["wave"], _NUMBER["power"], _NUMBER["L2"]])[losses.argmax(axis=1)]
    streamed = (memory + edge >= 0.5 * latency) | (memory >= 0.8 * work)
    kept = np.where(out[:, c.FITS] > 0, _NUMBER["L2"], _NUMBER["memory"])
    pipe = _OF_PIPE[out[:, c.PIPE].astype(np.int64)]
    inner = np.where(losses.max(axis=1) >= 0.25 * work, lost, pipe)
    return np.where(launch >= 0.5 * latency, _NUMBER["launch"], np.where(streamed, kept, inner))
