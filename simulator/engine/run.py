"""Run a fusion group event by event: totals always, every firing of a window of iterations if asked."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from einsum_cascades.diagnostics import MappingError
from simulator.engine import lay
from simulator.engine.plan import CAUSES, Compiled, compile_group
from simulator.taskgraph import Group

if TYPE_CHECKING:
    from simulator.engine.plan import Ints

__all__ = ["Firing", "Run", "run_compiled", "run_group"]

LIMIT = 2_000_000_000
_TABLE = 5_000_000
_SOON = 2_000_000


@dataclass(frozen=True, slots=True)
class Firing:
    """One firing of a task: when it started, and when its result was there and its resources free, in ticks."""

    task: str
    instance: int
    iteration: int
    start: Fraction
    end: Fraction


@dataclass(frozen=True)
class Run:
    """What happened, in ticks; `stalls` are the idle ticks of each exclusive resource before a task, by what it
    waited for: `data`, `order`, `buffer` space, or another `resource` of the same task.

    Busy, stalled and idle after the last task add up to the makespan, for each server. `interval` is the distance of
    two iterations in the third quarter of the first instance; `fill` the ticks before the busiest resource first works,
    `drain` those after it last does. `extrapolated` firings were not run one by one, but repeated exactly. `exact` is
    False where occupancies had to be rounded up to a part of a tick.
    """

    makespan: Fraction
    busy: dict[str, Fraction]
    stalls: dict[str, dict[str, Fraction]]
    firings: dict[str, int]
    interval: Fraction | None
    fill: Fraction
    drain: Fraction
    bottleneck: str
    extrapolated: int
    exact: bool
    window: tuple[Firing, ...] = ()


def run_group(
    group: Group,
    *,
    window: tuple[int, int] = (0, 0),
    extrapolate: bool = True,
    python: bool = False,
    limit: int = LIMIT,
) -> Run:
    """Return what happens when a fusion group runs: its makespan, and who was busy or waited for what.

    `window` (first, after the last) are the iterations whose firings are returned one by one. Without `extrapolate`
    every firing is run; `python` runs the kernel uncompiled. Raises MappingError for a graph that comes to a
    standstill, and for one that would need more than `limit` firings one by one.

    >>> from simulator.taskgraph import Edge, Resource, Task, TaskGraph
    >>> tasks = (Task("A", {"pe": Fraction(2)}, Fraction(2)), Task("B", {"pe": Fraction(1)}, Fraction(4)))
    >>> graph = TaskGraph((Resource("pe"),), tasks, (Edge("A", "B"),), 1e-9)
    >>> run_group(Group(graph, 10**9), python=True).makespan
    Fraction(3000000003, 1)
    """
    return run_compiled(compile_group(group), window=window, extrapolate=extrapolate, python=python, limit=limit)


def run_compiled(
    compiled: Compiled,
    *,
    window: tuple[int, int] = (0, 0),
    extrapolate: bool = True,
    python: bool = False,
    limit: int = LIMIT,
) -> Run:
    """Return what happens when a compiled group runs; as `run_group`."""
    listed = compiled.static and window[1] <= window[0]
    if listed and not extrapolate:
        ended = _run_listed(compiled, python, limit)
        if ended is not None:
            return ended
    # A regime that is periodic shows itself soon; where it does not, the recurrence of a listed order is quicker.
    soon = min(limit, _SOON) if listed and extrapolate else limit
    state = _run_events(compiled, window, extrapolate, python, soon)
    if state[lay.ALIVE] > 0 and state[lay.EVENTS] > soon and soon < limit:
        ended = _run_listed(compiled, python, limit)
        if ended is not None:
            return ended
        state = _run_events(compiled, window, extrapolate, python, limit)
    if state[lay.ALIVE] > 0:
        raise MappingError(_stopped(compiled, state, limit))
    return _result(compiled, _of_events(compiled, state), tuple(_window(compiled, state)))


def _run_events(compiled: Compiled, window: tuple[int, int], extrapolate: bool, python: bool, limit: int) -> Ints:
    """Return the memory of the event kernel after a run; its ring grows until nothing is forgotten too early."""
    import numpy as np  # noqa: PLC0415 - the engine alone needs it

    from simulator.engine.events import run_events  # noqa: PLC0415 - imports numba
    from simulator.engine.jit import compiled as compiled_kernel  # noqa: PLC0415
    from simulator.engine.jump import snapshot_length  # noqa: PLC0415
    from simulator.engine.state import fresh  # noqa: PLC0415

    kernel = run_events if python else compiled_kernel(run_events)
    plan = compiled.plan
    single = plan.shape[0] == 1 and plan.shape[1] == 1 and not plan.shape[4]
    levels = compiled.periods if extrapolate and single else ()
    ring = 32
    while True:
        rows = min(_TABLE, max(0, window[1] - window[0]) * len(plan.every) * compiled.instances.count)
        state = fresh(plan, ring, (*window, rows), limit)
        length = snapshot_length(len(plan.every), len(plan.flow), len(plan.servers), int(state[lay.WIDEST]))
        marks = np.zeros((len(levels), length), np.int64)
        marks[:, 0] = levels
        marks[:, 7] = -1
        kernel(state, marks)
        if not state[lay.RING_FULL]:
            return state
        ring *= 2


def _run_listed(compiled: Compiled, python: bool, limit: int) -> Run | None:
    """Return the run of a listed order by its recurrence; None where that has none, or would take too long."""
    from simulator.engine.jit import compiled as compiled_kernel  # noqa: PLC0415 - imports numba
    from simulator.engine.static import recurrence, run_recurrence  # noqa: PLC0415

    iterations = compiled.instances.classes[0].iterations if compiled.instances.classes else 0
    firings = [t.firings(iterations) for t in compiled.graph.tasks]
    made = recurrence(compiled) if 0 < sum(firings) <= limit else None
    if made is None:
        return None
    (run_recurrence if python else compiled_kernel(run_recurrence))(made)
    scalar = [int(v) for v in made.scalar]
    plan = compiled.plan
    busy = [0] * len(plan.servers)
    for t, n in enumerate(firings):
        for h in range(int(plan.hold_at[t]), int(plan.hold_at[t + 1])):
            busy[int(plan.hold[h])] += n * int(plan.hold_ticks[h])
    first, last, *causes = (list(map(int, column)) for column in made.counts.T)
    stalls = [list(row) for row in zip(*causes, strict=True)]
    totals = _Totals(firings, busy, stalls, first, last, scalar[8], (scalar[4], scalar[6], scalar[5], scalar[7]), 0)
    return _result(compiled, totals, ())


@dataclass(frozen=True)
class _Totals:
    """What a kernel has counted, in parts of a tick; `watched` are two iterations of the reference task, and their
    starts.
    """

    firings: list[int]
    busy: list[int]
    stalls: list[list[int]]
    first: list[int]
    last: list[int]
    end: int
    watched: tuple[int, int, int, int]
    skipped: int


def _of_events(compiled: Compiled, state: Ints) -> _Totals:
    from simulator.engine.state import table  # noqa: PLC0415

    fired, busy, stalls, first, last = (
        table(state, name).tolist() for name in ("FIRED", "BUSY", "STALL", "FIRST", "LAST")
    )
    watched = (state[lay.MID_ITERATION], state[lay.LAST_ITERATION], state[lay.MID_START], state[lay.LAST_START])
    a, b, c, d = map(int, watched)
    return _Totals(fired, busy, stalls, first, last, int(state[lay.LAST_END]), (a, b, c, d), int(state[lay.SKIPPED]))


def _stopped(compiled: Compiled, state: Ints, limit: int) -> str:
    """Say why a run did not reach its end."""
    import numpy as np  # noqa: PLC0415

    from simulator.engine.state import INF, table  # noqa: PLC0415

    names = [t.name for t in compiled.graph.tasks]
    if state[lay.EVENTS] > limit:
        return (
            f"the run needs more than {limit:,} firings one by one, because its state does not repeat: "
            "a task that nothing holds back runs ahead of the others; give what it fills a buffer of some depth"
        )
    row = int(np.argmax(table(state, "LEFT") > 0))
    at, heads = table(state, "AT")[row], table(state, "HEAD")[row]
    said = f"the order of work comes to a standstill in iteration {int(at.min())}"
    behind = [
        f"{names[k]} comes after {names[heads[n]]} in the order of {resource.name}"
        for n, resource in enumerate(compiled.graph.resources)
        for k, task in enumerate(compiled.graph.tasks)
        if resource.name in task.occupancy and resource.discipline == "listed"
        if table(state, "READY")[row, k] < INF and heads[n] not in (k, -1)
    ]
    waits = [
        f"{e.target} waits for {e.source}"
        for e in compiled.graph.edges
        if at[names.index(e.target)] < INF and at[names.index(e.source)] < INF
    ]
    return f"{said}: {', '.join((behind or waits)[:3])}"


def _result(compiled: Compiled, totals: _Totals, window: tuple[Firing, ...]) -> Run:
    scale, graph = compiled.scale, compiled.graph
    firings = {t.name: n for t, n in zip(graph.tasks, totals.firings, strict=True)}
    busy: dict[str, Fraction] = {}
    stalls, share = {}, []
    for n, resource in enumerate(graph.resources):
        if resource.discipline == "fluid":
            work = [firings[t.name] * t.occupancy.get(resource.name, Fraction(0)) for t in graph.tasks]
            busy[resource.name] = sum(work, Fraction(0)) / resource.capacity
        else:
            busy[resource.name] = Fraction(totals.busy[n], scale)
            idle = zip(CAUSES, totals.stalls[n], strict=True)
            stalls[resource.name] = {cause: Fraction(ticks, scale) for cause, ticks in idle}
        share.append(busy[resource.name] / (1 if resource.discipline == "fluid" else resource.capacity))
    most = max(range(len(share)), key=lambda n: share[n], default=None)
    works = most is not None and share[most] > 0
    first, last, start, end = totals.watched
    return Run(
        makespan=Fraction(totals.end, scale),
        busy=busy,
        stalls=stalls,
        firings=firings,
        interval=Fraction(end - start, (last - first) * scale) if 0 <= first < last else None,
        fill=Fraction(totals.first[most], scale) if works and most is not None else Fraction(0),
        drain=Fraction(totals.end - totals.last[most], scale) if works and most is not None else Fraction(0),
        bottleneck=graph.resources[most].name if most is not None else "nothing",
        extrapolated=totals.skipped,
        exact=compiled.exact,
        window=window,
    )


def _window(compiled: Compiled, state: Ints) -> list[Firing]:
    from simulator.engine.state import table  # noqa: PLC0415

    names = [t.name for t in compiled.graph.tasks]
    lines = table(state, "TABLE")[: int(state[lay.RECORDED])].tolist()
    scale = compiled.scale
    return [Firing(names[t], i, at, Fraction(start, scale), Fraction(end, scale)) for t, i, at, start, end in lines]
