"""The event kernel: what happens at the next moment at which anything can, until nothing is left.

Order of events at one moment: flows end; tasks start, the oldest first (by iteration, then listed order, then row)
until no other can; instances end and the next take their place. Units with the same next moment go by their number.
"""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.engine import lay
from simulator.engine.flows import end_flows, level, start_flows
from simulator.engine.jit import inlined, linked
from simulator.engine.jump import jump
from simulator.engine.state import INF, count, iteration, place

if TYPE_CHECKING:
    from simulator.engine.plan import Ints

__all__ = ["run_events"]


def run_events(m: Ints, marks: Ints) -> None:
    """Run a plan to its end, or until the limit of firings; `marks` are the snapshots of `jump`, empty for none."""
    units, slots = m[lay.UNITS], m[lay.SLOTS]
    for slot in range(slots):
        for unit in range(units):
            dispatch(m, unit, slot, 0)
    for unit in range(units):
        if m[m[lay.ROW] + unit * m[lay.SLOTS]] >= 0:
            wake(m, unit, 0)
    while m[lay.RING_FULL] == 0:
        unit = soonest(m)
        now = m[m[lay.NEXT] + unit]
        if now >= INF or m[lay.EVENTS] > m[lay.LIMIT]:
            break
        step(m, unit, now)
        if marks.shape[0] > 0 and m[lay.ALIVE] > 0:
            jump(m, marks, now)


@inlined
def soonest(m: Ints) -> int:
    """The unit with the least next time, the first of equals."""
    leaves = m[lay.LEAVES]
    if leaves == 1:
        return 0
    return m[m[lay.TREE] + 1]


@inlined
def wake(m: Ints, unit: int, time: int) -> None:
    """Set the next time of a unit."""
    m[m[lay.NEXT] + unit] = time
    leaves = m[lay.LEAVES]
    if leaves == 1:
        return
    node = (leaves + unit) // 2
    while node >= 1:
        a = m[m[lay.TREE] + 2 * node] if 2 * node < leaves else 2 * node - leaves
        b = m[m[lay.TREE] + 2 * node + 1] if 2 * node < leaves else 2 * node + 1 - leaves
        m[m[lay.TREE] + node] = a if m[m[lay.NEXT] + a] <= m[m[lay.NEXT] + b] else b
        node //= 2


@inlined
def step(m: Ints, unit: int, now: int) -> None:
    """All that happens on a unit at one moment; sets the unit's next time."""
    after = now
    while after <= now:
        after = INF
        if m[lay.FLOWS] > 0:
            after = stream(m, unit, now)
        after = min(after, start(m, unit, now))
        if after > now:
            after = min(after, end(m, unit, now))
    wake(m, unit, after)


@linked
def stream(m: Ints, unit: int, now: int) -> int:
    """End the flows of a unit that are due; return the next moment, which is now where one has ended."""
    after = INF
    for slot in range(m[lay.SLOTS]):
        row = m[m[lay.ROW] + unit * m[lay.SLOTS] + slot]
        if row < 0:
            continue
        for t in range(m[lay.TASKS]):
            streams = m[lay.STREAMS] + row * m[lay.TASKS] + t
            if m[streams] > 0:
                due, ended = end_flows(m, row, t, now)
                after = min(after, now if ended else due)
                if ended and m[streams] == 0:
                    finish(m, row, t, now)
    return after


@inlined
def start(m: Ints, unit: int, now: int) -> int:
    """Start the oldest task that can, or all where none competes; return the next moment, now where one has started."""
    after, best, best_row, best_at = INF, -1, -1, INF
    tasks, eager = m[lay.TASKS], m[lay.EAGER] == 1
    for slot in range(m[lay.SLOTS]):
        row = m[m[lay.ROW] + unit * m[lay.SLOTS] + slot]
        if row < 0:
            continue
        ready, at = m[lay.READY] + row * tasks, m[lay.AT] + row * tasks
        for t in range(tasks):
            if m[ready + t] >= INF:
                continue
            moment = possible(m, row, t)
            if moment > now:
                after = min(after, moment)
            elif eager:
                begin(m, row, t, now)
                after = now
            elif m[at + t] < best_at or (m[at + t] == best_at and t < best):
                best, best_row, best_at = t, row, m[at + t]
    if best >= 0:
        begin(m, best_row, best, now)
        after = now
    return after


@linked
def end(m: Ints, unit: int, now: int) -> int:
    """End the instances that are done, and put others in their place; return the next moment, now where one has."""
    after = INF
    for slot in range(m[lay.SLOTS]):
        row = m[m[lay.ROW] + unit * m[lay.SLOTS] + slot]
        if row >= 0 and m[m[lay.LEFT] + row] == 0:
            if m[m[lay.END] + row] > now:
                after = min(after, m[m[lay.END] + row])
            else:
                retire(m, row, now)
                dispatch(m, unit, slot, now)
                after = now
    return after


@inlined
def possible(m: Ints, row: int, t: int) -> int:
    """The earliest start of a task as things stand; INF when another comes first in listed order."""
    at = m[m[lay.READY] + row * m[lay.TASKS] + t]
    for h in range(m[m[lay.HOLD_AT] + t], m[m[lay.HOLD_AT] + t + 1]):
        n = m[m[lay.HOLD] + h]
        if m[m[lay.GREEDY] + n] == 0 and m[m[lay.HEAD] + row * m[lay.RESOURCES] + n] != t:
            return INF
        k = place(m, row, n)
        at = max(at, m[m[lay.FREE] + (n * m[lay.PLACES] + k) * m[lay.WIDEST] + server(m, n, k)])
    return at


@inlined
def server(m: Ints, n: int, k: int) -> int:
    """The server that is free first, the lowest of equals."""
    best = 0
    for i in range(1, m[m[lay.SERVERS] + n]):
        if (
            m[m[lay.FREE] + (n * m[lay.PLACES] + k) * m[lay.WIDEST] + i]
            < m[m[lay.FREE] + (n * m[lay.PLACES] + k) * m[lay.WIDEST] + best]
        ):
            best = i
    return best


@inlined
def begin(m: Ints, row: int, t: int, now: int) -> None:
    """Start the next firing of a task."""
    c = row * m[lay.TASKS] + t
    firing = m[m[lay.STARTED] + c]
    slot = c * m[lay.RING] + (firing & (m[lay.RING] - 1))
    if firing >= m[lay.RING] and m[m[lay.START_RING] + slot] + m[m[lay.LONGEST] + t] > now:
        m[lay.RING_FULL] = 1
    m[m[lay.START_RING] + slot] = now
    flowing = m[m[lay.FLOW_AT] + t + 1] > m[m[lay.FLOW_AT] + t]
    until_all = max(now + m[m[lay.LATENCY] + t], hold(m, row, t, now, flowing))
    m[m[lay.END] + row] = max(m[m[lay.END] + row], until_all)
    watch(m, row, t, now, until_all)
    m[m[lay.STARTED] + c] = firing + 1
    m[m[lay.FIRED] + t] += 1
    m[lay.EVENTS] += 1
    more = firing + 1 < m[m[lay.TOTAL] + c]
    m[m[lay.AT] + c] = m[m[lay.STAGE] + t] + iteration(m, t, firing + 1) if more else INF
    for h in range(m[m[lay.HOLD_AT] + t], m[m[lay.HOLD_AT] + t + 1]):
        n = m[m[lay.HOLD] + h]
        if m[m[lay.GREEDY] + n] == 0:
            lead(m, row, n)
    if flowing:
        m[m[lay.READY] + c] = INF
        m[m[lay.STREAMS] + c] = m[m[lay.FLOW_AT] + t + 1] - m[m[lay.FLOW_AT] + t]
        start_flows(m, row, t, now)
    else:
        publish(m, row, t, now)


@inlined
def hold(m: Ints, row: int, t: int, now: int, flowing: bool) -> int:
    """Take a server of each exclusive resource of a task, and say why it has been idle; return when all are free."""
    c, until_all = row * m[lay.TASKS] + t, now
    cause = m[m[lay.CAUSE] + c] if m[m[lay.READY] + c] == now else 3
    for h in range(m[m[lay.HOLD_AT] + t], m[m[lay.HOLD_AT] + t + 1]):
        n = m[m[lay.HOLD] + h]
        k = place(m, row, n)
        i = server(m, n, k)
        free = m[lay.FREE] + (n * m[lay.PLACES] + k) * m[lay.WIDEST] + i
        m[m[lay.STALL] + n * 4 + cause] += now - m[free]
        m[m[lay.FIRST] + n] = min(m[m[lay.FIRST] + n], now)
        m[m[lay.HELD] + row * m[lay.HOLDS] + h] = i
        until = now + m[m[lay.HOLD_TICKS] + h]
        until_all = max(until_all, until)
        if flowing:
            m[free] = INF
        else:
            m[free] = until
            m[m[lay.BUSY] + n] += until - now
            m[m[lay.LAST] + n] = max(m[m[lay.LAST] + n], until)
    return until_all


@linked
def finish(m: Ints, row: int, t: int, now: int) -> None:
    """The last flow of a firing has ended: its parts are free, and its result has a time."""
    c = row * m[lay.TASKS] + t
    begun = m[m[lay.START_RING] + c * m[lay.RING] + ((m[m[lay.STARTED] + c] - 1) & (m[lay.RING] - 1))]
    for h in range(m[m[lay.HOLD_AT] + t], m[m[lay.HOLD_AT] + t + 1]):
        n = m[m[lay.HOLD] + h]
        until = max(now, begun + m[m[lay.HOLD_TICKS] + h])
        i = m[m[lay.HELD] + row * m[lay.HOLDS] + h]
        m[m[lay.FREE] + (n * m[lay.PLACES] + place(m, row, n)) * m[lay.WIDEST] + i] = until
        m[m[lay.BUSY] + n] += until - begun
        m[m[lay.LAST] + n] = max(m[m[lay.LAST] + n], until)
    m[m[lay.END] + row] = max(m[m[lay.END] + row], now)
    line = m[m[lay.RECORD] + c]
    if line >= 0:
        m[m[lay.TABLE] + line * 5 + 4] = max(m[m[lay.TABLE] + line * 5 + 4], now)
    publish(m, row, t, now)


@inlined
def publish(m: Ints, row: int, t: int, now: int) -> None:
    """A firing's result has a time: what waits for it learns when it may start."""
    c = row * m[lay.TASKS] + t
    m[m[lay.DONE_RING] + c * m[lay.RING] + (m[m[lay.KNOWN] + c] & (m[lay.RING] - 1))] = now
    m[m[lay.KNOWN] + c] += 1
    m[m[lay.LEFT] + row] -= 1
    prepare(m, row, t)
    for e in range(m[m[lay.OUT_AT] + t], m[m[lay.OUT_AT] + t + 1]):
        other = row
        if m[m[lay.OUT_OFFSET] + e] != 0:
            instance = m[m[lay.INSTANCE] + row] + m[m[lay.OUT_OFFSET] + e]
            if instance < 0 or instance >= m[lay.INSTANCES] or m[m[lay.OF_INSTANCE] + instance] < 0:
                continue
            other = m[m[lay.OF_INSTANCE] + instance]
        target = m[m[lay.TARGET] + e]
        if m[m[lay.READY] + other * m[lay.TASKS] + target] >= INF:
            prepare(m, other, target)
            if m[m[lay.UNIT] + other] != m[m[lay.UNIT] + row]:
                wake(m, m[m[lay.UNIT] + other], min(m[m[lay.NEXT] + m[m[lay.UNIT] + other]], now))
    if m[lay.UNITS] > 1:
        for h in range(m[m[lay.HOLD_AT] + t], m[m[lay.HOLD_AT] + t + 1]):
            if m[m[lay.SCOPE] + m[m[lay.HOLD] + h]] == 2:
                for unit in range(m[lay.UNITS]):
                    wake(m, unit, min(m[m[lay.NEXT] + unit], now))


@linked
def prepare(m: Ints, row: int, t: int) -> None:
    """Find when all that the next firing of a task waits for is there; INF while that is not known."""
    c = row * m[lay.TASKS] + t
    m[m[lay.READY] + c] = INF
    if m[m[lay.AT] + c] >= INF or m[m[lay.STREAMS] + c] > 0:
        return
    data = m[m[lay.AT] + c] - m[m[lay.STAGE] + t]
    latest, cause = 0, 0
    for e in range(m[m[lay.IN_AT] + t], m[m[lay.IN_AT] + t + 1]):
        other = row
        instance = m[m[lay.INSTANCE] + row]
        if m[m[lay.OFFSET] + e] != 0:
            instance -= m[m[lay.OFFSET] + e]
            if instance < 0 or instance >= m[lay.INSTANCES]:
                continue
            other = m[m[lay.OF_INSTANCE] + instance]
        source = m[m[lay.SOURCE] + e]
        need = count(m, source, min(data - m[m[lay.DISTANCE] + e], m[m[lay.ITERATIONS] + instance] - 1))
        if need <= 0:
            continue
        s = other * m[lay.TASKS] + source
        if other < 0 or m[m[lay.KNOWN] + s] < need:
            return
        if m[m[lay.STARTED] + s] - need < m[lay.RING]:
            i = s * m[lay.RING] + ((need - 1) & (m[lay.RING] - 1))
            at = max(m[m[lay.START_RING] + i] + m[m[lay.WAIT] + e], m[m[lay.DONE_RING] + i])
            if at > latest:
                latest, cause = at, m[m[lay.KIND] + e]
    m[m[lay.READY] + c] = latest
    m[m[lay.CAUSE] + c] = cause


@inlined
def lead(m: Ints, row: int, n: int) -> None:
    """Find the task of a row that is next in the listed order of a resource."""
    best, best_at = -1, INF
    for i in range(m[m[lay.USER_AT] + n], m[m[lay.USER_AT] + n + 1]):
        t = m[m[lay.USER] + i]
        if m[m[lay.AT] + row * m[lay.TASKS] + t] < best_at:
            best, best_at = t, m[m[lay.AT] + row * m[lay.TASKS] + t]
    m[m[lay.HEAD] + row * m[lay.RESOURCES] + n] = best


@inlined
def watch(m: Ints, row: int, t: int, now: int, end: int) -> None:
    """Record a firing of the window, and the reference task's between MID and UNTIL."""
    at = m[m[lay.AT] + row * m[lay.TASKS] + t] - m[m[lay.STAGE] + t]
    if t == m[lay.REFERENCE] and m[m[lay.INSTANCE] + row] == 0 and at <= m[lay.UNTIL]:
        m[lay.LAST_START] = now
        m[lay.LAST_ITERATION] = at
        if m[lay.MID_ITERATION] < 0 and at >= m[lay.MID]:
            m[lay.MID_ITERATION] = at
            m[lay.MID_START] = now
    m[m[lay.RECORD] + row * m[lay.TASKS] + t] = -1
    line = m[lay.RECORDED]
    if m[lay.FROM] <= at < m[lay.TO] and line < m[lay.LINES]:
        m[m[lay.RECORD] + row * m[lay.TASKS] + t] = line
        m[m[lay.TABLE] + line * 5 + 0] = t
        m[m[lay.TABLE] + line * 5 + 1] = m[m[lay.INSTANCE] + row]
        m[m[lay.TABLE] + line * 5 + 2] = at
        m[m[lay.TABLE] + line * 5 + 3] = now
        m[m[lay.TABLE] + line * 5 + 4] = end
        m[lay.RECORDED] = line + 1


@linked
def dispatch(m: Ints, unit: int, slot: int, now: int) -> None:
    """Put the next instance of a unit's queue into a slot, if there is one."""
    queue = m[m[lay.QUEUE_OF] + unit]
    position = m[m[lay.QUEUE_AT] + queue] + m[m[lay.QUEUED] + queue]
    if position >= m[m[lay.QUEUE_AT] + queue + 1]:
        return
    m[m[lay.QUEUED] + queue] += 1
    instance = m[m[lay.QUEUE] + position]
    row = instance if m[lay.OFFSETS] == 1 else unit * m[lay.SLOTS] + slot
    m[m[lay.ROW] + unit * m[lay.SLOTS] + slot] = row
    m[m[lay.INSTANCE] + row], m[m[lay.UNIT] + row], m[m[lay.SLOT] + row] = instance, unit, slot
    m[m[lay.OF_INSTANCE] + instance] = row
    m[m[lay.LEFT] + row] = 0
    m[m[lay.END] + row] = now
    share(m, 1, now)
    for t in range(m[lay.TASKS]):
        (
            m[m[lay.STARTED] + row * m[lay.TASKS] + t],
            m[m[lay.KNOWN] + row * m[lay.TASKS] + t],
            m[m[lay.STREAMS] + row * m[lay.TASKS] + t],
        ) = 0, 0, 0
        m[m[lay.TOTAL] + row * m[lay.TASKS] + t] = count(m, t, m[m[lay.ITERATIONS] + instance] - 1)
        m[m[lay.LEFT] + row] += m[m[lay.TOTAL] + row * m[lay.TASKS] + t]
        m[m[lay.AT] + row * m[lay.TASKS] + t] = (
            m[m[lay.STAGE] + t] + iteration(m, t, 0) if m[m[lay.TOTAL] + row * m[lay.TASKS] + t] > 0 else INF
        )
    for n in range(m[lay.RESOURCES]):
        lead(m, row, n)
    for t in range(m[lay.TASKS]):
        prepare(m, row, t)


@linked
def retire(m: Ints, row: int, now: int) -> None:
    """An instance has ended: its slot is free."""
    m[m[lay.ROW] + m[m[lay.UNIT] + row] * m[lay.SLOTS] + m[m[lay.SLOT] + row]] = -1
    m[lay.ALIVE] -= 1
    m[lay.LAST_END] = max(m[lay.LAST_END], m[m[lay.END] + row])
    share(m, -1, now)


@linked
def share(m: Ints, change: int, now: int) -> None:
    """Count the instances alive; where they share a fluid resource of the chip, every share changes."""
    m[lay.LIVE] += change
    for n in range(m[lay.RESOURCES]):
        if m[m[lay.SERVERS] + n] == 0 and m[m[lay.SCOPE] + n] == 2:
            for unit in range(m[lay.UNITS]):
                moved = False
                for slot in range(m[lay.SLOTS]):
                    row = m[m[lay.ROW] + unit * m[lay.SLOTS] + slot]
                    if row >= 0:
                        moved = True
                        level(m, row, n, now)
                if moved:
                    wake(m, unit, min(m[m[lay.NEXT] + unit], now))
