"""Run a fusion group event by event: totals always, every firing of a window of iterations if asked."""

from __future__ import annotations

from collections import Counter
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
            break
        ring *= 2
    if state[lay.ALIVE] > 0:
        raise MappingError(_stopped(compiled, state, limit))
    return _result(compiled, state)


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


def _result(compiled: Compiled, state: Ints) -> Run:
    from simulator.engine.state import table  # noqa: PLC0415

    scale, plan, graph = compiled.scale, compiled.plan, compiled.graph
    firings = {t.name: int(n) for t, n in zip(graph.tasks, table(state, "FIRED"), strict=True)}
    busy: Counter[str] = Counter()
    stalls = {}
    for n, resource in enumerate(graph.resources):
        if resource.discipline == "fluid":
            work = sum(
                (firings[t.name] * t.occupancy.get(resource.name, Fraction(0)) for t in graph.tasks), Fraction(0)
            )
            busy[resource.name] = work / resource.capacity  # type: ignore[assignment]
        else:
            busy[resource.name] = Fraction(int(table(state, "BUSY")[n]), scale)  # type: ignore[assignment]
            stalls[resource.name] = {
                c: Fraction(int(v), scale) for c, v in zip(CAUSES, table(state, "STALL")[n], strict=True)
            }
    most = max(range(len(graph.resources)), key=lambda n: _share(compiled, busy, n), default=None)
    end = Fraction(int(state[lay.LAST_END]), scale)
    fill = drain = Fraction(0)
    if most is not None and busy[graph.resources[most].name]:
        fill, drain = (
            Fraction(int(table(state, "FIRST")[most]), scale),
            end - Fraction(int(table(state, "LAST")[most]), scale),
        )
    return Run(
        makespan=end,
        busy=dict(busy),  # type: ignore[arg-type]
        stalls=stalls,
        firings=firings,
        interval=_interval(compiled, state),
        fill=fill,
        drain=drain,
        bottleneck=graph.resources[most].name if most is not None else "nothing",
        extrapolated=int(state[lay.SKIPPED]),
        exact=compiled.exact,
        window=tuple(_window(compiled, state)) if plan.every.size else (),
    )


def _share(compiled: Compiled, busy: Counter[str], n: int) -> Fraction:
    resource = compiled.graph.resources[n]
    servers = int(resource.capacity) if resource.discipline != "fluid" else 1
    return Fraction(busy[resource.name]) / servers


def _interval(compiled: Compiled, state: Ints) -> Fraction | None:
    first, last = int(state[lay.MID_ITERATION]), int(state[lay.LAST_ITERATION])
    if first < 0 or last <= first:
        return None
    return Fraction(int(state[lay.LAST_START] - state[lay.MID_START]), (last - first) * compiled.scale)


def _window(compiled: Compiled, state: Ints) -> list[Firing]:
    from simulator.engine.state import table  # noqa: PLC0415

    names = [t.name for t in compiled.graph.tasks]
    lines = table(state, "TABLE")[: int(state[lay.RECORDED])].tolist()
    scale = compiled.scale
    return [Firing(names[t], i, at, Fraction(start, scale), Fraction(end, scale)) for t, i, at, start, end in lines]
