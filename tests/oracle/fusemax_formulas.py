"""The published FuseMax evaluation as closed formulas (FuseMax, MICRO 2024, and its artifact), for any shape with E=F.

Written from the paper's rules, not from the simulator: traffic in bytes, times in seconds, utilization 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

WORD = 2
BANDWIDTH = 400 * 2**30
CLOCK = 940e6


@dataclass(frozen=True)
class Shape:
    B: int
    H: int
    N: int
    E: int
    R: int = 256

    @property
    def queries(self) -> int:
        return self.B * self.H * self.N

    @property
    def blocks(self) -> int:
        return self.N // self.R

    @property
    def t(self) -> float:
        """Seconds for the 1-D array to do one operation for each query and key block."""
        return self.queries * self.blocks / (self.R * CLOCK)


def largest_divisor(number: int, limit: int) -> int:
    return max(d for d in range(1, number + 1) if number % d == 0 and d <= limit)


def resident_blocks(s: Shape, *, cascade: bool) -> int:
    """P1: blocks of R queries that fit a buffer of 16 MiB beside a tile of keys and values."""
    words = 2 * s.E + 2 + (2 * s.R if cascade else 0)
    fit = (16 * 2**20 - 2 * s.R * 2 * s.E) // (2 * s.R * words)
    return largest_divisor(s.blocks, min(fit, s.blocks))


def unfused_blocks(s: Shape) -> int:
    fit = (2**24 // s.E - s.R) // s.R
    return largest_divisor(s.blocks, min(fit, s.blocks))


def unfused(s: Shape) -> dict[str, float]:
    reread = s.blocks // unfused_blocks(s)
    n = s.queries
    product = max(WORD * (n * s.E * (1 + reread) + n * s.N) / BANDWIDTH, s.E * s.t)
    softmax = max(2 * WORD * n * s.N / BANDWIDTH, 4 * s.R * s.t)
    latency = 2 * product + softmax
    return {
        "traffic_bytes": WORD * (2 * n * s.E * (1 + reread) + 4 * n * s.N),
        "latency_s": latency,
        "util_2d": 2 * s.E * s.t / latency,
        "util_1d": 4 * s.R * s.t / latency,
    }


def fusemax(s: Shape, config: str) -> dict[str, float]:
    p1 = resident_blocks(s, cascade=config == "cascade")
    f, m1 = s.E, s.blocks
    traffic = 4 * s.queries * s.E * (1 + s.blocks // p1)
    if config == "cascade":
        busy_2d, busy_1d = 2 * s.E * s.t, (4 * s.R + 5 + 2 * f + f / m1) * s.t
        time = busy_1d
    else:
        busy_2d, busy_1d = (2 * s.E + 9) * s.t, (10 + 2 * f + f / m1) * s.t
        if config == "binding":
            time = (max(s.E + 1, 1 + f + f / m1) + 1 + 8 + f) * s.t
        else:
            time = (max(s.E + 1, 1 + f / m1) + s.R + 1 + 8 + 2 * f) * s.t
    latency = max(traffic / BANDWIDTH, time)
    return {
        "traffic_bytes": traffic,
        "latency_s": latency,
        "util_2d": busy_2d / latency,
        "util_1d": busy_1d / latency,
    }


def flat_spill(s: Shape, rows: int, resident: set[str]) -> float:
    """The share of accesses that miss when scores stay on chip, from the bytes that double buffers need."""
    need = 2 * rows * s.N
    need += sum(4 * s.E * (rows if t in resident else s.R) for t in ("Q", "AV"))
    need += sum(4 * s.E * (s.N if t in resident else s.R) for t in ("K", "V"))
    return max(0.0, 1 - 2**25 / need)


def flat(s: Shape, rows: int, resident: set[str], *, on_chip: bool, stationary: str) -> dict[str, float]:
    n, m1 = s.queries, s.blocks
    if stationary == "output":
        spill = flat_spill(s, rows, resident)
        inputs = sum(
            (1 - spill) * n * s.E + spill * n * s.E * m1 if t in resident else n * s.E * m1 for t in ("Q", "K", "V")
        )
        words = inputs + n * s.E + spill * 7 * n * s.N
        time_2d, useful = (s.E + s.R) * s.t, 2 * s.E * s.t
        assert on_chip
    else:
        words = 2 * n * s.E + 2 * n * s.E * s.N / rows + 4 * n * s.N
        time_2d, useful = 2 * s.R * s.t, 2 * s.E * s.t
    latency = max(WORD * words / BANDWIDTH, time_2d, 4 * s.R * s.t)
    return {
        "traffic_bytes": WORD * words,
        "latency_s": latency,
        "util_2d": useful / latency,
        "util_1d": 4 * s.R * s.t / latency,
    }
