"""The recurrence of a static order: where every resource is one server with a listed order, time needs no events.

Iteration by iteration and in an order that no task of an iteration contradicts, a task starts when the last thing that
it waits for is there. The result is that of the event kernel, several times faster.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simulator.engine.plan import Compiled, Plan

if TYPE_CHECKING:
    from simulator.engine.plan import Ints

__all__ = ["Recurrence", "recurrence", "run_recurrence"]

_NEVER = -(1 << 60)


class Recurrence(NamedTuple):
    """The arrays of a recurrence; its tasks stand in an order in which they can be worked off."""

    tasks: Ints  # t: every, burst, turn, stage, latency
    edge_at: Ints
    edges: Ints  # source, distance, wait, kind
    hold_at: Ints
    holds: Ints  # resource, parts of a tick
    ring: Ints  # t i: start of the latest firing at or before an iteration
    free: Ints  # n
    counts: Ints  # n: first start, last end, and the four causes of idle time
    scalar: Ints  # iterations, reference task, the iterations between which it is watched, what is found, the end


def recurrence(compiled: Compiled) -> Recurrence | None:
    """Return the recurrence of a compiled group; None where the listed order contradicts an iteration's dependences."""
    order = _order(compiled.plan)
    return None if order is None else _arrays(compiled.plan, order)


def _order(plan: Plan) -> list[int] | None:
    after: dict[int, set[int]] = {t: set() for t in range(len(plan.every))}
    for t, before in after.items():
        for e in range(plan.in_at[t], plan.in_at[t + 1]):
            if _back(plan, t, e) == 0:
                before.add(int(plan.source[e]))
    for n in range(len(plan.servers)):
        for a, b in pairwise(plan.user[plan.user_at[n] : plan.user_at[n + 1]]):
            after[int(b)].add(int(a))
    try:
        return list(TopologicalSorter(after).static_order())
    except CycleError:
        return None


def _back(plan: Plan, target: int, edge: int) -> int:
    """Return the iterations that an edge reaches back, stages included."""
    return int(plan.distance[edge] + plan.stage[target] - plan.stage[plan.source[edge]])


def _arrays(plan: Plan, order: list[int]) -> Recurrence:
    place = {t: k for k, t in enumerate(order)}
    edges = [(k, t, e) for k, t in enumerate(order) for e in range(plan.in_at[t], plan.in_at[t + 1])]
    holds = [(k, h) for k, t in enumerate(order) for h in range(plan.hold_at[t], plan.hold_at[t + 1])]
    farthest = max((_back(plan, t, e) for _, t, e in edges), default=0)
    ring = 1 << max(1, (farthest + 1).bit_length())
    last = int(plan.iterations[0]) - 1
    watched = [place[int(plan.shape[2])] if order else 0, last // 2, last - last // 4]
    places = np.arange(len(order) + 1)

    def table(rows: list[list[int]], width: int) -> Ints:
        return np.array(rows, np.int64).reshape(-1, width)

    return Recurrence(
        tasks=np.stack([c[order] for c in (plan.every, plan.burst, plan.turn, plan.stage, plan.latency)], axis=1),
        edge_at=np.searchsorted([k for k, _, _ in edges], places),
        edges=table(
            [[place[int(plan.source[e])], _back(plan, t, e), plan.wait[e], plan.kind[e]] for _, t, e in edges], 4
        ),
        hold_at=np.searchsorted([k for k, _ in holds], places),
        holds=table([[plan.hold[h], plan.hold_ticks[h]] for _, h in holds], 2),
        ring=np.full((len(order), ring), _NEVER, np.int64),
        free=np.zeros(len(plan.servers), np.int64),
        counts=np.tile(np.array([-1, 0, 0, 0, 0, 0], np.int64), (len(plan.servers), 1)),
        scalar=np.array([last + 1, *watched, -1, 0, -1, 0, 0], np.int64),
    )


def run_recurrence(r: Recurrence) -> None:  # noqa: PLR0912 - one loop, whole for the sake of its speed
    """Run a recurrence to its end."""
    mask = r.ring.shape[1] - 1
    iterations, end = r.scalar[0], r.scalar[8]
    total = iterations
    for t in range(r.tasks.shape[0]):
        total = max(total, iterations + r.tasks[t, 3])
    for i in range(total):
        here, before = i & mask, (i - 1) & mask
        for t in range(r.tasks.shape[0]):
            data = i - r.tasks[t, 3]
            start = r.ring[t, before]
            fires = 0 <= data < iterations
            if fires and r.tasks[t, 0] > 1:
                fires = data // r.tasks[t, 1] % r.tasks[t, 0] == r.tasks[t, 2]
            if not fires:
                r.ring[t, here] = start
                continue
            ready, cause = 0, 0
            for e in range(r.edge_at[t], r.edge_at[t + 1]):
                moment = r.ring[r.edges[e, 0], (i - r.edges[e, 1]) & mask] + r.edges[e, 2]
                if moment > ready:
                    ready, cause = moment, r.edges[e, 3]
            start = max(start, ready)
            for h in range(r.hold_at[t], r.hold_at[t + 1]):
                start = max(start, r.free[r.holds[h, 0]])
            if start > ready:
                cause = 3
            r.ring[t, here] = start
            end = max(end, start + r.tasks[t, 4])
            for h in range(r.hold_at[t], r.hold_at[t + 1]):
                n = r.holds[h, 0]
                r.counts[n, 2 + cause] += start - r.free[n]
                if r.counts[n, 0] < 0:
                    r.counts[n, 0] = start
                r.free[n] = start + r.holds[h, 1]
                r.counts[n, 1] = r.free[n]
                end = max(end, r.free[n])
            if t == r.scalar[1] and data <= r.scalar[3]:
                if r.scalar[4] < 0 and data >= r.scalar[2]:
                    r.scalar[4], r.scalar[5] = data, start
                r.scalar[6], r.scalar[7] = data, start
    r.scalar[8] = end
