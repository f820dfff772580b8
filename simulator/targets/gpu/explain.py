"""What an outcome means in words: the regime, what it is bound by, and why."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.targets.gpu import columns as c

__all__ = ["PARTS", "REGIMES", "bound_by", "classify", "explain"]

REGIMES = ("launch", "wave", "exp", "tensor", "memory", "L2", "power")
PARTS = ("tensor cores", "exp unit", "fp32 lanes", "shared memory", "L2", "DRAM", "chunk chain")
_OF_PIPE = ("tensor", "exp", "exp", "tensor", "L2", "memory", "wave")
_TERMS = {
    "busiest pipe": c.T_BUSY,
    "overlap loss": c.T_OVERLAP,
    "L2 feed": c.T_L2,
    "tile overhead": c.T_TILE,
    "waves and tail": c.T_WAVE,
    "power ceiling": c.T_POWER,
    "memory not hidden": c.T_MEMORY,
    "operator boundary": c.T_EDGE,
    "launch": c.T_LAUNCH,
}


def terms_of(out: Sequence[float]) -> dict[str, float]:
    """Return the named parts of the latency in seconds; they add up to it."""
    return {name: float(out[place]) for name, place in _TERMS.items()}


def classify(out: Sequence[float]) -> str:
    """Return the regime of an outcome.

    Launch where fixed costs are half of the latency; memory or L2 where bytes take longest; power where the ceiling
    costs most beside the busiest pipe; wave where unequal or left-over tiles do; else what the busiest pipe is.
    """
    latency = out[c.LATENCY]
    if out[c.T_LAUNCH] >= 0.5 * latency:
        return "launch"
    work = latency - out[c.T_LAUNCH] - out[c.T_EDGE]
    if out[c.MEMORY] + out[c.T_EDGE] >= 0.5 * latency or out[c.MEMORY] >= 0.8 * work:
        return "L2" if out[c.FITS] > 0 else "memory"
    losses = (out[c.T_WAVE], out[c.T_POWER], out[c.T_L2])
    worst = max(losses)
    if worst >= 0.25 * work:
        return ("wave", "power", "L2")[losses.index(worst)]
    return _OF_PIPE[int(out[c.PIPE])]


def bound_by(out: Sequence[float]) -> str:
    """Return the part of the machine that the call holds longest."""
    regime = classify(out)
    if regime in ("launch", "L2"):
        return regime
    return "DRAM" if regime == "memory" else PARTS[int(out[c.PIPE])]


def explain(out: Sequence[float]) -> str:
    """Return one sentence that says where the time goes."""
    latency = out[c.LATENCY]
    shares = sorted(((seconds / latency, name) for name, seconds in terms_of(out).items()), reverse=True)
    first, second = shares[0], shares[1]
    held = {"busiest pipe": f"the {PARTS[int(out[c.PIPE])]} busy"}.get(first[1], first[1])
    text = f"{first[0]:.0%} of the time is {held}"
    if second[0] >= 0.05:
        name = {"busiest pipe": f"the {PARTS[int(out[c.PIPE])]} busy"}.get(second[1], second[1])
        text += f", {second[0]:.0%} {name}"
    return text + f"; tensor cores are in use {out[c.USE]:.0%} of it"
