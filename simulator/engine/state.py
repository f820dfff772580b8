"""Where a run stands: the memory before the start, and what all parts of the kernel ask of it."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simulator.engine import lay
from simulator.engine.jit import inlined
from simulator.engine.plan import Plan

if TYPE_CHECKING:
    from simulator.engine.plan import Ints

__all__ = ["INF", "count", "fresh", "iteration", "place", "table"]

INF = 1 << 62


def fresh(plan: Plan, ring: int, window: tuple[int, int, int], limit: int) -> Ints:
    """Return the memory before the start; `window` is the first iteration to record, that after the last, and lines."""
    units, slots, reference, eager, offsets = (int(v) for v in plan.shape)
    counts = {
        "TASKS": len(plan.every),
        "FLOWS": len(plan.flow),
        "RESOURCES": len(plan.servers),
        "HOLDS": len(plan.hold),
        "ROWS": len(plan.iterations) if offsets else units * slots,
        "UNITS": units,
        "SLOTS": slots,
        "PLACES": units * slots,
        "WIDEST": max([1, *(int(n) for n in plan.servers)]),
        "RING": ring,
        "LEAVES": 1 << max(0, (units - 1).bit_length()),
        "INSTANCES": len(plan.iterations),
        "QUEUES": len(plan.queue_at) - 1,
        "LINES": window[2],
    }
    header = np.zeros(lay.HEADER, np.int64)
    parts, length = [header], lay.HEADER
    scalars = {"REFERENCE": reference, "EAGER": eager, "OFFSETS": offsets, "ALIVE": len(plan.iterations)}
    last = int(plan.iterations[0]) - 1 if len(plan.iterations) else 0
    # The last quarter is left out: there tasks of a pipeline are missing that others have waited for.
    scalars |= {"MID": last // 2, "MID_ITERATION": -1, "UNTIL": last - last // 4}
    scalars |= {"FROM": window[0], "TO": window[1], "LIMIT": limit}
    for name, value in (counts | scalars).items():
        header[getattr(lay, name)] = value
    tables = [(name.upper(), getattr(plan, name)) for name in lay.PLAN]
    for name, (extents, filled) in lay.TABLES.items():
        shape = [counts[e] if isinstance(e, str) else e for e in extents]
        tables.append((name, np.full(int(np.prod(shape)), filled, np.int64)))
    for name, values in tables:
        header[getattr(lay, name)] = length
        parts.append(values)
        length += len(values)
    return np.concatenate(parts)


def table(memory: Ints, name: str) -> Ints:
    """Return one of the tables of `lay.TABLES`, in its extents."""
    shape = [int(memory[getattr(lay, e)]) if isinstance(e, str) else e for e in lay.TABLES[name][0]]
    start = int(memory[getattr(lay, name)])
    return memory[start : start + int(np.prod(shape))].reshape(shape)


@inlined
def count(m: Ints, t: int, iteration: int) -> int:
    """Firings of a task up to and with an iteration."""
    if iteration < 0:
        return 0
    if m[m[lay.EVERY] + t] == 1:
        return iteration + 1
    burst = m[m[lay.BURST] + t]
    period = m[m[lay.EVERY] + t] * burst
    whole = (iteration + 1) // period
    rest = (iteration + 1) - whole * period - m[m[lay.TURN] + t] * burst
    return whole * burst + min(max(rest, 0), burst)


@inlined
def iteration(m: Ints, t: int, firing: int) -> int:
    """Iteration of a firing, stages aside."""
    if m[m[lay.EVERY] + t] == 1:
        return firing
    burst = m[m[lay.BURST] + t]
    return firing // burst * (m[m[lay.EVERY] + t] * burst) + m[m[lay.TURN] + t] * burst + firing % burst


@inlined
def place(m: Ints, row: int, n: int) -> int:
    """Which copy of a resource a row uses: its own, its unit's, or the only one."""
    if m[m[lay.SCOPE] + n] == 0:
        return m[m[lay.UNIT] + row] * m[lay.SLOTS] + m[m[lay.SLOT] + row]
    if m[m[lay.SCOPE] + n] == 1:
        return m[m[lay.UNIT] + row]
    return 0
