"""Exact extrapolation: when the whole state of a run has come back, all that lies between is repeated at once.

A snapshot holds everything that can make a difference, as seen from the present moment: the positions of the tasks,
the ages of results that are not yet there, what is left of the flows, when the servers are free. Two equal snapshots
mean that the run goes on as it did between them, as long as nothing happens that did not happen there: a task whose
firings have a longer pattern begins or ends its burst, the last iteration is reached, or the window that is recorded.
The leap stops before the first of these; the run goes on from there, event by event. Snapshots are compared at several
periods, so that a long pattern that holds shorter ones is itself leapt over.
"""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.engine import lay
from simulator.engine.jit import linked
from simulator.engine.state import INF, count

if TYPE_CHECKING:
    from simulator.engine.plan import Ints

__all__ = ["AGES", "HEAD", "jump", "snapshot_length"]

AGES = 8
HEAD = 8
# Places in a snapshot's head.
_PERIOD, _NEXT, _AT, _TIME, _POWER, _COUNT, _KEPT, _WHOSE = 0, 1, 2, 3, 4, 5, 6, 7
_PER_TASK = 5 + AGES


def snapshot_length(tasks: int, flows: int, resources: int, servers: int) -> int:
    """Return the whole numbers that a snapshot takes."""
    return HEAD + tasks * _PER_TASK + 2 * flows + resources * (servers + 5)


@linked
def jump(m: Ints, marks: Ints, now: int) -> None:
    """Compare the state with the snapshots that are due, and leap where one is equal."""
    ref = m[lay.REFERENCE]
    if m[m[lay.AT] + ref] >= INF:
        return
    at = m[m[lay.AT] + ref] - m[m[lay.STAGE] + ref]
    for k in range(marks.shape[0]):
        mark = marks[k]
        if mark[_WHOSE] != m[m[lay.INSTANCE]]:
            mark[_KEPT], mark[_NEXT], mark[_WHOSE] = 0, 0, m[m[lay.INSTANCE]]
        if at < mark[_NEXT]:
            continue
        period = at - mark[_AT]
        if mark[_KEPT] == 1 and period % mark[_PERIOD] == 0 and same(m, mark, now, period):
            times = reach(m, mark, marks, k, period)
            if times > 0:
                leap(m, mark, now, period, times)
                for lower in range(k + 1):
                    marks[lower, _KEPT], marks[lower, _NEXT] = 0, 0
                return
        if mark[_KEPT] == 0 or period % mark[_PERIOD] != 0 or mark[_COUNT] >= mark[_POWER]:
            mark[_POWER] = 1 if mark[_KEPT] == 0 else 2 * mark[_POWER]
            keep(m, mark, now)
            mark[_AT], mark[_TIME], mark[_COUNT], mark[_KEPT] = at, now, 0, 1
        mark[_COUNT] += 1
        mark[_NEXT] = at + mark[_PERIOD]


@linked
def age(m: Ints, t: int, n: int, now: int) -> int:
    """How long ago the n-th last firing of a task started; -1 when it makes no difference any more."""
    firing = m[m[lay.STARTED] + t] - 1 - n
    ring = m[lay.RING]
    if firing < 0 or n >= ring:
        return -1
    start = m[m[lay.START_RING] + t * m[lay.RING] + (firing & (ring - 1))]
    return now - start if start + m[m[lay.LONGEST] + t] > now or firing >= m[m[lay.KNOWN] + t] else -1


@linked
def ahead(m: Ints, t: int, now: int) -> int:
    """When a task may start, from now; 0 for any time before, -1 for unknown."""
    ready = m[m[lay.READY] + t]
    return -1 if ready >= INF else max(ready - now, 0)


@linked
def idle(m: Ints, n: int, i: int, now: int) -> int:
    """Since when a server is free, or until when it is not, from now."""
    free = m[m[lay.FREE] + (n * m[lay.PLACES]) * m[lay.WIDEST] + i]
    return INF if free >= INF else free - now


@linked
def keep(m: Ints, mark: Ints, now: int) -> None:
    """Fill a snapshot."""
    c = HEAD
    for t in range(m[lay.TASKS]):
        mark[c], mark[c + 1], mark[c + 2] = m[m[lay.STARTED] + t], m[m[lay.KNOWN] + t], m[m[lay.AT] + t]
        mark[c + 3], mark[c + 4] = ahead(m, t, now), m[m[lay.FIRED] + t]
        for n in range(AGES):
            mark[c + 5 + n] = age(m, t, n, now)
        c += _PER_TASK
    for f in range(m[lay.FLOWS]):
        mark[c], mark[c + 1] = rest(m, f, now), rate(m, f)
        c += 2
    for n in range(m[lay.RESOURCES]):
        for i in range(m[lay.WIDEST]):
            mark[c] = idle(m, n, i, now)
            c += 1
        mark[c] = m[m[lay.BUSY] + n]
        for cause in range(4):
            mark[c + 1 + cause] = m[m[lay.STALL] + n * 4 + cause]
        c += 5


@linked
def moved(m: Ints, mark: Ints, t: int) -> int:
    """Firings of a task since a snapshot."""
    return m[m[lay.STARTED] + t] - mark[HEAD + t * _PER_TASK]


@linked
def served(m: Ints, mark: Ints, n: int) -> bool:
    """Whether an exclusive resource has been used since a snapshot."""
    used = False
    for i in range(m[m[lay.USER_AT] + n], m[m[lay.USER_AT] + n + 1]):
        used = used or moved(m, mark, m[m[lay.USER] + i]) > 0
    return used


@linked
def same(m: Ints, mark: Ints, now: int, period: int) -> bool:
    """Whether the state is that of a snapshot, shifted by a period."""
    c, equal = HEAD, True
    for t in range(m[lay.TASKS]):
        steady = moved(m, mark, t) == 0 or m[m[lay.AT] + t] - mark[c + 2] == period
        steady = steady and m[m[lay.STARTED] + t] - m[m[lay.KNOWN] + t] == mark[c] - mark[c + 1]
        equal = equal and steady and ahead(m, t, now) == mark[c + 3] and age(m, t, AGES, now) < 0
        for n in range(AGES):
            equal = equal and age(m, t, n, now) == mark[c + 5 + n]
        c += _PER_TASK
    for f in range(m[lay.FLOWS]):
        equal = equal and rest(m, f, now) == mark[c] and rate(m, f) == mark[c + 1]
        c += 2
    for n in range(m[lay.RESOURCES]):
        used = served(m, mark, n)
        for i in range(m[lay.WIDEST]):
            equal = equal and (not used or idle(m, n, i, now) == mark[c + i])
        c += m[lay.WIDEST] + 5
    return equal


@linked
def rest(m: Ints, f: int, now: int) -> int:
    """What is left of a flow at this moment."""
    if m[m[lay.DUE] + f] < 0:
        return 0
    return m[m[lay.REST] + f] - m[m[lay.RATE] + f] * (now - m[m[lay.SINCE] + f])


@linked
def rate(m: Ints, f: int) -> int:
    """The rate of a flow, 0 for none."""
    return m[m[lay.RATE] + f] if m[m[lay.DUE] + f] >= 0 else 0


@linked
def change(m: Ints, t: int, x: int) -> int:
    """The iteration after `x` at which a task begins or ends a burst."""
    burst = m[m[lay.BURST] + t]
    start = m[m[lay.TURN] + t] * burst
    if x < start:
        return start
    phase = x % (m[m[lay.EVERY] + t] * burst)
    if phase < start:
        return x - phase + start
    if phase < start + burst:
        return x - phase + start + burst
    return x - phase + m[m[lay.EVERY] + t] * burst + start


@linked
def reach(m: Ints, mark: Ints, marks: Ints, level: int, period: int) -> int:
    """How many periods can be leapt over before anything happens that did not happen in this one."""
    times = INF // period
    total = m[m[lay.ITERATIONS] + m[m[lay.INSTANCE]]]
    ref = m[lay.REFERENCE]
    at = m[m[lay.AT] + ref] - m[m[lay.STAGE] + ref]
    if m[lay.MID_ITERATION] < 0:
        times = min(times, (m[lay.MID] - at) // period)
    elif at <= m[lay.UNTIL]:
        times = min(times, (m[lay.UNTIL] - at) // period)
    for k in range(level + 1, marks.shape[0]):
        if marks[k, _KEPT] == 1:
            times = min(times, (marks[k, _NEXT] - at) // period)
    for t in range(m[lay.TASKS]):
        if m[m[lay.AT] + t] >= INF:
            if moved(m, mark, t) > 0:
                return 0
            continue
        if moved(m, mark, t) == 0:
            times = min(times, sleeps(m, mark, t, period))
            continue
        here = m[m[lay.AT] + t] - m[m[lay.STAGE] + t]
        times = min(times, (total - 1 - here) // period)
        if m[m[lay.STREAMS] + t] > 0 and m[m[lay.RECORD] + t] >= 0:
            return 0
        times = min(times, unseen(m, here, period))
        if period % (m[m[lay.EVERY] + t] * m[m[lay.BURST] + t]) != 0:
            turn = change(m, t, here - period)
            if moved(m, mark, t) != period or turn <= here:
                return 0
            times = min(times, (turn - 1 - here) // period)
        times = min(times, inputs(m, t, here, period))
    return times


@linked
def inputs(m: Ints, t: int, here: int, period: int) -> int:
    """For how many periods the firings that a task waits for follow each other as in this one."""
    times = INF
    for e in range(m[m[lay.IN_AT] + t], m[m[lay.IN_AT] + t + 1]):
        x, source = here - m[m[lay.DISTANCE] + e], m[m[lay.SOURCE] + e]
        times = min(times, (m[m[lay.ITERATIONS] + m[m[lay.INSTANCE]]] - 1 - x) // period)
        if x < 0 or period % (m[m[lay.EVERY] + source] * m[m[lay.BURST] + source]) != 0:
            turn = change(m, source, x - period)
            if turn <= x:
                return 0
            times = min(times, (turn - 1 - x) // period)
        elif x - period < 0:
            return 0
    return times


@linked
def unseen(m: Ints, here: int, period: int) -> int:
    """How many periods lie between a position and the window that is recorded."""
    if here >= m[lay.TO] or m[lay.TO] <= m[lay.FROM]:
        return INF
    return max(0, (m[lay.FROM] - here) // period)


@linked
def sleeps(m: Ints, mark: Ints, t: int, period: int) -> int:
    """For how many periods a task that has not fired in this one is sure not to fire."""
    times = INF
    blocked = False
    for h in range(m[m[lay.HOLD_AT] + t], m[m[lay.HOLD_AT] + t + 1]):
        n = m[m[lay.HOLD] + h]
        for i in range(m[m[lay.USER_AT] + n], m[m[lay.USER_AT] + n + 1]):
            u = m[m[lay.USER] + i]
            if m[m[lay.GREEDY] + n] == 0 and moved(m, mark, u) > 0:
                if m[m[lay.AT] + u] >= m[m[lay.AT] + t]:
                    return 0
                blocked = True
                times = min(times, (m[m[lay.AT] + t] - 1 - m[m[lay.AT] + u]) // period)
    if m[m[lay.READY] + t] < INF:
        return times if blocked else 0
    longest = 0
    here = m[m[lay.AT] + t] - m[m[lay.STAGE] + t]
    for e in range(m[m[lay.IN_AT] + t], m[m[lay.IN_AT] + t + 1]):
        source = m[m[lay.SOURCE] + e]
        need = count(m, source, min(here - m[m[lay.DISTANCE] + e], m[m[lay.ITERATIONS] + m[m[lay.INSTANCE]]] - 1))
        missing = need - m[m[lay.KNOWN] + source]
        if missing > 0:
            step = m[m[lay.KNOWN] + source] - mark[HEAD + source * _PER_TASK + 1]
            longest = max(longest, INF if step == 0 else (missing - 1) // step)
    return min(times, longest)


@linked
def leap(m: Ints, mark: Ints, now: int, period: int, times: int) -> None:
    """Repeat what has happened since a snapshot."""
    shift = times * (now - mark[_TIME])
    c = HEAD
    for t in range(m[lay.TASKS]):
        step = times * moved(m, mark, t)
        if step > 0:
            rotate(m, t, step, shift)
            m[m[lay.STARTED] + t] += step
            m[m[lay.KNOWN] + t] += step
            m[m[lay.LEFT]] -= step
            m[m[lay.AT] + t] += times * period
            m[m[lay.FIRED] + t] += step
            m[lay.SKIPPED] += step
            if m[m[lay.READY] + t] < INF:
                m[m[lay.READY] + t] += shift
        c += _PER_TASK
    for f in range(m[lay.FLOWS]):
        if m[m[lay.DUE] + f] >= 0:
            m[m[lay.SINCE] + f] += shift
            m[m[lay.DUE] + f] += shift
        c += 2
    for n in range(m[lay.RESOURCES]):
        used = served_before(m, mark, n)
        for i in range(m[lay.WIDEST]):
            if used and m[m[lay.FREE] + (n * m[lay.PLACES]) * m[lay.WIDEST] + i] < INF:
                m[m[lay.FREE] + (n * m[lay.PLACES]) * m[lay.WIDEST] + i] += shift
            c += 1
        if used:
            m[m[lay.LAST] + n] += shift
        m[m[lay.BUSY] + n] += times * (m[m[lay.BUSY] + n] - mark[c])
        for cause in range(4):
            m[m[lay.STALL] + n * 4 + cause] += times * (m[m[lay.STALL] + n * 4 + cause] - mark[c + 1 + cause])
        c += 5
    m[m[lay.END]] += shift
    ref = m[lay.REFERENCE]
    if m[m[lay.INSTANCE]] == 0 and m[m[lay.AT] + ref] - m[m[lay.STAGE] + ref] <= m[lay.UNTIL]:
        m[lay.LAST_START] += shift
        m[lay.LAST_ITERATION] += times * period
    m[m[lay.NEXT]] += shift


@linked
def rotate(m: Ints, t: int, step: int, shift: int) -> None:
    """Move the remembered starts and results of a task to the places and times of `step` firings later."""
    ring = m[lay.RING]
    for i in range(ring):
        m[m[lay.SCRATCH] + i] = m[m[lay.START_RING] + t * m[lay.RING] + i] + shift
        m[m[lay.SCRATCH] + ring + i] = m[m[lay.DONE_RING] + t * m[lay.RING] + i] + shift
    for i in range(ring):
        m[m[lay.START_RING] + t * m[lay.RING] + ((i + step) & (ring - 1))] = m[m[lay.SCRATCH] + i]
        m[m[lay.DONE_RING] + t * m[lay.RING] + ((i + step) & (ring - 1))] = m[m[lay.SCRATCH] + ring + i]


@linked
def served_before(m: Ints, mark: Ints, n: int) -> bool:
    """Whether a resource was used in the period that is repeated, exclusive or fluid."""
    if served(m, mark, n):
        return True
    for i in range(m[m[lay.THROUGH_AT] + n], m[m[lay.THROUGH_AT] + n + 1]):
        if moved(m, mark, m[m[lay.FLOW_TASK] + m[m[lay.THROUGH] + i]]) > 0:
            return True
    return False
