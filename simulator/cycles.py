"""A program, cycle by cycle: what is bounded, ordered and then run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from simulator.bounds import GroupBound
from simulator.dataflow import between_parts, bounded, transfers, without_barriers
from simulator.engine import Run, run_group
from simulator.live import double_buffer
from simulator.scheduler import Schedule, pipeline, schedule
from simulator.taskgraph import Group, TaskGraph

__all__ = ["GroupRun", "explain_run", "order_group", "run_in_cycles"]


@dataclass(frozen=True)
class GroupRun:
    """A fusion group as it was run; `plan` is None where the group has an order of its own."""

    group: Group
    plan: Schedule | None
    run: Run

    @property
    def interval(self) -> Fraction:
        """The initiation interval that was attained, in ticks."""
        if self.run.interval is not None:
            return self.run.interval
        return self.run.makespan / max(1, self.group.iterations)


def order_group(
    group: Group, *, depth: int | None = None, barriers: bool = True, reorder: bool = False
) -> tuple[Group, Schedule | None]:
    """Return a fusion group ready to be run, and the schedule that it follows.

    Each transfer has two buffers, one of which is filled while the other is used, where there is room for them; between
    compute parts there are `depth`, None for as many as are needed and there is room for. A group with barriers keeps
    its order, without them too (`barriers` False: pure dataflow) unless `reorder` says otherwise; any other is
    software-pipelined.
    """
    graph = double_buffer(group.graph, transfers(group.graph))
    if depth is not None:
        graph = bounded(graph, between_parts(group.graph), depth)
    own = any(e.kind == "order" for e in graph.edges) and not reorder
    if not barriers:
        graph = without_barriers(graph)
    if own:
        return replace(group, graph=graph), None
    plan = schedule(graph)
    return replace(group, graph=pipeline(graph, plan)), plan


def run_in_cycles(group: Group, *, depth: int | None = None, barriers: bool = True, reorder: bool = False) -> GroupRun:
    """Return a run of a fusion group by `order_group`; MappingError where the order of work cannot go on."""
    ready, plan = order_group(group, depth=depth, barriers=barriers, reorder=reorder)
    return GroupRun(ready, plan, run_group(ready))


def explain_run(index: int, done: GroupRun, bound: GroupBound) -> Iterator[str]:
    """Yield sentences on where the cycles of a run went."""
    run = done.run
    over = run.makespan / bound.finite - 1 if bound.finite else Fraction(0)
    yield (
        f"group {index} in cycles: {float(run.makespan):,.0f}, {float(over):.3%} above the finite bound; an iteration "
        f"every {float(done.interval):,.6g}; {run.bottleneck} starts after {float(run.fill):,.0f} "
        f"and ends {float(run.drain):,.0f} before the end"
    )
    for name, causes in run.stalls.items():
        idle = ", ".join(f"{_WAITS[cause]} {float(t / run.makespan):.2%}" for cause, t in causes.items() if t)
        yield f"  {name} busy {float(run.busy[name] / run.makespan):.2%}" + (f"; waits for {idle}" if idle else "")
    if done.plan is not None:
        yield f"  schedule: {_schedule(done.plan, done.group.graph)}"


_WAITS = {"data": "data", "order": "a barrier", "buffer": "buffer space", "resource": "another part"}


def _schedule(plan: Schedule, graph: TaskGraph) -> str:
    stages = max(plan.stage.values(), default=0) + 1
    at = f"interval {float(plan.interval):,.6g} for a bound of {float(plan.bound):,.6g}"
    alive = {name: copies for name, copies in plan.alive.items() if copies > 1}
    live = ", ".join(f"{name} {copies}" for name, copies in alive.items())
    said = f"{at}, {stages} stage{'s' if stages > 1 else ''}" + (f"; results alive at once: {live}" if live else "")
    rooms = (
        (memory, float(amount), float(graph.room[memory]))
        for memory, amount in plan.overlap.items()
        if memory in graph.room
    )
    said += "".join(f"; {memory}: {amount:,.0f} B of {room:,.0f} free" for memory, amount, room in rooms)
    return said + (f"; a shorter interval does not fit into {plan.tight}" if plan.tight else "")
