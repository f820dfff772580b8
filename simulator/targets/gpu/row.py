"""One problem under one setup: counts its work, then times it by the form of the schedule."""

from __future__ import annotations

from simulator.targets.gpu import columns as c
from simulator.targets.gpu.chunks import time_chunks
from simulator.targets.gpu.columns import Out, Row
from simulator.targets.gpu.problem import Problem
from simulator.targets.gpu.split import time_split
from simulator.targets.gpu.tiles import count_work, time_tiles
from simulator.targets.gpu.waves import time_waves

__all__ = ["run_requests", "run_row"]


def run_row(shape: Row, s: Row, work: Out, out: Out) -> None:
    """Write the outcome of a shape under a setup into `out`; `work` is scratch."""
    if s[c.FORM] == 1:
        time_split(shape, s, out)
    elif s[c.FORM] == 2:
        time_chunks(shape, s, out)
    elif s[c.FORM] == 3:
        time_waves(shape, s, out)
    else:
        for i in range(c.WORK):
            work[i] = 0.0
        count_work(shape, s, work)
        time_tiles(work, s, out)


def run_requests(problem: Problem, setup: list[float]) -> list[float]:
    """Return the outcome of a problem whose requests may have unlike lengths.

    Tiles of all requests meet the SMs together. A decode kernel streams the mean length, and its last block the
    longest beyond it.
    """
    out = [0.0] * c.OUTCOME
    work = [0.0] * c.WORK
    requests = problem.requests()
    heads = (float(problem.q_heads), float(problem.kv_heads))
    rest = (float(problem.window), float(problem.splits))
    shapes = [(float(n), *heads, float(q), float(k), *rest) for n, q, k in requests]
    if len(shapes) == 1:
        run_row(shapes[0], setup, work, out)
        return out
    if setup[c.FORM] == 0:
        for shape in shapes:
            count_work(shape, setup, work)
        time_tiles(work, setup, out)
        return out
    total = sum(shape[c.BATCH] for shape in shapes)
    q_len = sum(shape[c.BATCH] * shape[c.Q_LEN] for shape in shapes) / total
    kv_len = sum(shape[c.BATCH] * shape[c.KV_LEN] for shape in shapes) / total
    run_row((total, *heads, q_len, kv_len, *rest), setup, work, out)
    longest = max(shape[c.KV_LEN] for shape in shapes)
    alone: list[float] = [0.0] * c.OUTCOME
    run_row((1.0, *heads, q_len, longest, *rest), setup, work, alone)
    if alone[c.LATENCY] > out[c.LATENCY]:
        return alone
    return out
