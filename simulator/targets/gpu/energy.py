"""The energy of a call: idle power and the activity of its pipes, up to the board power."""

from __future__ import annotations

from collections.abc import Sequence

from arch_specs.gpu import Gpu
from simulator.targets.gpu import columns as c
from simulator.targets.gpu.calibration import Calibration

__all__ = ["estimate_energy"]

_MEASURED = ("b200", "gb200")  # cards whose rows carry watts, in the sustained mode


def estimate_energy(out: Sequence[float], gpu: Gpu, timing: str, numbers: Calibration) -> tuple[float, bool]:
    """Return (joules, whether that is an extrapolation) of an outcome: mean power times latency.

    Power is a share of the board power: of a card that waits, and what busy SMs, their tensor cores and DRAM add. Rows
    with watts are explained within 19 % in the mean: B200 and GB200, in runs of a second; elsewhere it extrapolates.
    """
    latency = out[c.LATENCY]
    tiles = out[c.T_TILE] > 0  # a kernel that streams keys keeps few of an SM's lanes busy
    active = max(0.0, 1 - (out[c.T_LAUNCH] + out[c.T_WAVE]) / latency) if tiles else 0.0
    memory = 0.0 if out[c.FITS] > 0 else min(1.0, out[c.MEMORY] / latency)
    share = numbers.number("power_idle") + numbers.number("power_tensor") * out[c.USE]
    share += numbers.number("power_busy") * active + numbers.number("power_dram") * memory
    extrapolated = gpu.name not in _MEASURED or not timing.startswith("sustained")
    return min(1.0, share) * gpu.tdp_w * latency, extrapolated
