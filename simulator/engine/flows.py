"""Fluid resources: flows share what a resource does max-min fairly, each up to its cap.

Shares change at whole times only: when a flow starts or ends, and, for a resource of the chip, when an instance starts
or ends: the instances alive have equal parts of it, which the flows of each then share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.engine import lay
from simulator.engine.jit import linked
from simulator.engine.lay import WORK_UNIT
from simulator.engine.state import INF

if TYPE_CHECKING:
    from simulator.engine.plan import Ints

__all__ = ["end_flows", "level", "start_flows"]


@linked
def start_flows(m: Ints, row: int, t: int, now: int) -> None:
    """Start the flows of a firing."""
    c = row * m[lay.FLOWS]
    for f in range(m[m[lay.FLOW_AT] + t], m[m[lay.FLOW_AT] + t + 1]):
        m[m[lay.REST] + c + f] = m[m[lay.FLOW_WORK] + f]
        m[m[lay.RATE] + c + f] = 0
        m[m[lay.SINCE] + c + f] = now
        m[m[lay.DUE] + c + f] = INF
    for f in range(m[m[lay.FLOW_AT] + t], m[m[lay.FLOW_AT] + t + 1]):
        level(m, row, m[m[lay.FLOW] + f], now)


@linked
def end_flows(m: Ints, row: int, t: int, now: int) -> tuple[int, bool]:
    """End the flows of a task that are due; return when the next one is, and whether any has ended."""
    after, ended = INF, False
    c = row * m[lay.FLOWS]
    for f in range(m[m[lay.FLOW_AT] + t], m[m[lay.FLOW_AT] + t + 1]):
        due, n = m[m[lay.DUE] + c + f], m[m[lay.FLOW] + f]
        if 0 <= due <= now:
            m[m[lay.REST] + c + f] = 0
            m[m[lay.DUE] + c + f] = -1
            m[m[lay.STREAMS] + row * m[lay.TASKS] + t] -= 1
            m[m[lay.LAST] + n] = max(m[m[lay.LAST] + n], now)
            ended = True
            level(m, row, n, now)
        elif due >= 0:
            after = min(after, due)
    return after, ended


@linked
def level(m: Ints, row: int, n: int, now: int) -> None:
    """Give the flows through a resource their shares from now on, as seen from a row."""
    if m[m[lay.SCOPE] + n] != 1:
        running = settle(m, row, n, now)
        supply = WORK_UNIT if m[m[lay.SCOPE] + n] == 0 else max(1, WORK_UNIT // m[lay.LIVE])
    else:
        running, supply = 0, WORK_UNIT
        base = m[lay.ROW] + m[m[lay.UNIT] + row] * m[lay.SLOTS]
        for slot in range(m[lay.SLOTS]):
            if m[base + slot] >= 0:
                running += settle(m, m[base + slot], n, now)
    even = False
    while running > 0:
        # First those whose cap is below an even share; when there are none left, an even share for each.
        share = max(1, supply // running)
        given, spent = 0, 0
        if m[m[lay.SCOPE] + n] != 1:
            given, spent = assign(m, row, n, now, share, even)
        else:
            base = m[lay.ROW] + m[m[lay.UNIT] + row] * m[lay.SLOTS]
            for slot in range(m[lay.SLOTS]):
                if m[base + slot] >= 0:
                    more, rates = assign(m, m[base + slot], n, now, share, even)
                    given += more
                    spent += rates
        even = given == 0
        running -= given
        supply -= spent


@linked
def settle(m: Ints, row: int, n: int, now: int) -> int:
    """Take off what the flows of a row through a resource have done; return how many go on."""
    c, running = row * m[lay.FLOWS], 0
    for i in range(m[m[lay.THROUGH_AT] + n], m[m[lay.THROUGH_AT] + n + 1]):
        f = m[m[lay.THROUGH] + i]
        if m[m[lay.DUE] + c + f] < 0:
            continue
        m[m[lay.REST] + c + f] -= m[m[lay.RATE] + c + f] * (now - m[m[lay.SINCE] + c + f])
        m[m[lay.SINCE] + c + f] = now
        m[m[lay.RATE] + c + f] = 0
        m[m[lay.FIRST] + n] = min(m[m[lay.FIRST] + n], now)
        if m[m[lay.REST] + c + f] > 0:
            running += 1
        else:
            m[m[lay.DUE] + c + f] = now
    return running


@linked
def assign(m: Ints, row: int, n: int, now: int, share: int, even: bool) -> tuple[int, int]:
    """Give flows without a rate their cap where it is below a share, or the share if `even`; return how many, and how
    much.
    """
    c, given, spent = row * m[lay.FLOWS], 0, 0
    for i in range(m[m[lay.THROUGH_AT] + n], m[m[lay.THROUGH_AT] + n + 1]):
        f = m[m[lay.THROUGH] + i]
        if m[m[lay.DUE] + c + f] < 0 or m[m[lay.RATE] + c + f] > 0 or m[m[lay.REST] + c + f] <= 0:
            continue
        if not even and m[m[lay.FLOW_CAP] + f] > share:
            continue
        rate = share if even else m[m[lay.FLOW_CAP] + f]
        m[m[lay.RATE] + c + f] = rate
        m[m[lay.DUE] + c + f] = now + (m[m[lay.REST] + c + f] + rate - 1) // rate
        given += 1
        spent += rate
    return given, spent
