"""One design of a cluster in, one report out: the bound of its task graph, or a run of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from arch_specs.clusters import Cluster, Pool
from simulator.bounds import bound_group
from simulator.targets.cluster.closed import Steady, steady_state
from simulator.targets.cluster.demand import Demand, check_fit, numbers_for
from simulator.targets.cluster.kernels import with_kernel
from simulator.targets.cluster.layer import Layer, average_layer
from simulator.targets.cluster.lower import TICK_S, lower_cluster
from simulator.targets.cluster.money import break_even, nics_at_work, required_link
from simulator.targets.cluster.placement import Placement
from simulator.targets.cluster.report import ClusterReport, ClusterRow
from simulator.targets.cluster.times import SCALARS, Numbers, linear_sides
from simulator.taskgraph import Program
from simulator.transformer import Model

__all__ = ["evaluate_cluster", "make_program"]

_STEPS = 4  # decode steps of a run; their rate is that between this many and twice as many


def make_program(model: Model, cluster: Cluster, placement: Placement, demand: Demand) -> Program:
    """Return the program of a decode step; MappingError where something does not fit.

    >>> from simulator.library import load_cluster, load_model, load_placement
    >>> design = load_model("llama3_70b"), load_cluster("h100_h20"), load_placement("lamina")
    >>> program = make_program(*design, Demand(batch=64, context=4096))
    >>> [resource.name for resource in program.groups[0].graph.resources]
    ['compute', 'compute to memory', 'memory', 'memory to compute']
    """
    layer = average_layer(model)
    numbers, _ = _numbers(model, layer, cluster, placement, demand)
    return _program(layer, cluster, placement, numbers, 1)


def evaluate_cluster(
    model: Model,
    cluster: Cluster,
    placement: Placement,
    demand: Demand,
    *,
    method: Literal["bound", "cycle"] = "bound",
    baseline: ClusterReport | None = None,
) -> ClusterReport:
    """Return the report of decode on a cluster; with `baseline` also where the two break even.

    Raises MappingError where weights, requests, heads or replicas do not fit, or a link is missing.

    >>> from simulator.library import load_cluster, load_model, load_placement
    >>> design = load_model("llama3_70b"), load_cluster("h100_h20"), load_placement("lamina")
    >>> evaluate_cluster(*design, Demand(prompt=1154.7, generated=211.1)).batch
    834
    """
    layer = average_layer(model)
    numbers, said = _numbers(model, layer, cluster, placement, demand)
    program = _program(layer, cluster, placement, numbers, 1)
    steady = steady_state(layer, placement, numbers, SCALARS)
    group = program.groups[0]
    bound = bound_group(group)
    ceiling = float(bound.interval) * TICK_S * layer.layers
    attained = _run(layer, cluster, placement, numbers) if method == "cycle" else None
    tpot = attained or ceiling
    rate = numbers.batch / tpot
    pools = _used(cluster, placement)
    busy = {n: float(t) * TICK_S * layer.layers / tpot for n, t in bound.per_resource.items()}
    return ClusterReport(
        title=f"{model.name} on {cluster.name}, cut {placement.cut}, {placement.batches} batch"
        + ("es by turns" if placement.batches > 1 else ""),
        cluster=cluster.name,
        model=model.name,
        cut=placement.cut,
        batch=int(numbers.batch),
        batch_capacity=int(check_fit(layer, cluster, placement, numbers)),
        context=float(numbers.context),
        tokens_per_s=rate,
        tpot_s=tpot,
        tokens_per_s_of_pool={n: rate / share for n, share in busy.items() if share},
        link_bytes_per_token=steady.exchanged * layer.layers / _largest_batch(numbers),
        bound_by=_bound_by(bound.bound_by),
        utilization=busy,
        imbalance=float(numbers.imbalance),
        method=method,
        attained_tpot_s=attained,
        ceiling_tpot_s=ceiling,
        rows=tuple(_rows(program)),
        explain=(*_explain(layer, placement, numbers, steady, pools), said),
        break_even=break_even(layer, cluster, placement, numbers, baseline.tokens_per_s_per_usd_h)
        if baseline is not None and baseline.tokens_per_s_per_usd_h is not None
        else None,
        **_paid(pools, rate),
        **_link(layer, cluster, placement, numbers, demand.slowdown),
    )


def _numbers(model: Model, layer: Layer, cluster: Cluster, placement: Placement, demand: Demand) -> tuple[Numbers, str]:
    """Return the numbers of a design, and what its attention rests on."""
    numbers = numbers_for(model, layer, cluster, placement, demand)
    pool = placement.pools(cluster)[1]
    if demand.attention == "roofline":
        return numbers, f"attention on {pool.name}: operator roofline"
    return with_kernel(model, layer, pool, placement, numbers)


def _program(layer: Layer, cluster: Cluster, placement: Placement, numbers: Numbers, steps: int) -> Program:
    linear, attention = placement.pools(cluster)
    return lower_cluster(layer, placement, numbers, (linear.name, attention.name), steps)


def _run(layer: Layer, cluster: Cluster, placement: Placement, numbers: Numbers) -> float:
    """Return the seconds of a decode step that the engine attains, once the pipeline is full."""
    from simulator.engine import run_group  # noqa: PLC0415 - imports numba

    short, long = (
        run_group(_program(layer, cluster, placement, numbers, steps).groups[0]).makespan
        for steps in (_STEPS, 2 * _STEPS)
    )
    return float(long - short) / _STEPS * TICK_S


def _used(cluster: Cluster, placement: Placement) -> tuple[Pool, ...]:
    """Return the pools that a placement uses, and pays for."""
    linear, attention = placement.pools(cluster)
    return (linear,) if linear.name == attention.name else (linear, attention)


def _paid(pools: tuple[Pool, ...], rate: float) -> dict[str, Any]:
    """Return what pools cost in dollars and joules, as fields of a report; None where one is not known."""
    prices = [pool.price.usd_per_h * pool.count for pool in pools if pool.price is not None]
    powers = [pool.device.tdp_w * pool.count for pool in pools if pool.device.tdp_w is not None]
    price = sum(prices) if len(prices) == len(pools) else None
    return {
        "usd_per_h": price,
        "usd_per_mtoken": None if price is None else price / 3600 / rate * 1e6,
        "tokens_per_s_per_usd_h": rate / price if price else None,
        "energy_j_per_token": sum(powers) / rate if len(powers) == len(pools) else None,
        "price_sources": tuple(
            f"{p.name}: {p.price.usd_per_h:g} USD/h, {p.price.source} {p.price.date}".rstrip() for p in pools if p.price
        ),
    }


def _link(layer: Layer, cluster: Cluster, placement: Placement, numbers: Numbers, slowdown: float) -> dict[str, Any]:
    """Return what the link must do, as fields of a report."""
    needed, allowed = required_link(layer, placement, numbers, slowdown, SCALARS)
    nics = nics_at_work(cluster, placement, SCALARS)
    return {
        "link_bytes_per_s_needed": needed,
        "link_bytes_per_s_needed_per_nic": None if needed is None else needed / nics,
        "round_trip_s_allowed": allowed,
    }


def _largest_batch(numbers: Numbers) -> float:
    return float(-(-numbers.batch // numbers.batches))


def _bound_by(name: str) -> str:
    return "dependences" if name.startswith("dependences") else name


def _rows(program: Program) -> Iterator[ClusterRow]:
    """Yield what each Einsum and each message holds, summed over batches."""
    held: dict[tuple[str, str], list[float]] = {}
    for task in program.groups[0].graph.tasks:
        for resource, ticks in task.occupancy.items():
            name = task.name.rsplit(" ", 1)[0].removesuffix(" for")
            total = held.setdefault((name, resource), [0.0, 0.0])
            total[0] += float(task.work)
            total[1] += float(ticks) * TICK_S
    for (name, resource), (work, busy) in held.items():
        yield ClusterRow(name, resource, work, busy)


def _explain(
    layer: Layer, placement: Placement, numbers: Numbers, steady: Steady, pools: tuple[Pool, ...]
) -> Iterator[str]:
    """Yield sentences on what binds and on what the figures rest."""
    size = _largest_batch(numbers)
    compute, reading = linear_sides(layer, placement, numbers, size)
    state = "compute saturated" if compute > reading else "bound by reading weights"
    yield (
        f"linear layers: {state} ({size:,.0f} requests in a batch: {compute * 1e3:.3g} ms of arithmetic, "
        f"{reading * 1e3:.3g} ms of reading weights)"
    )
    asked = layer.kv_token_flop / numbers.attention_flop_per_s, layer.kv_token_bytes / numbers.attention_bytes_per_s
    if numbers.attention_flop_per_s < float("inf"):
        yield f"attention: bound by {'arithmetic' if asked[0] > asked[1] else 'reading the KV cache'}"
    if placement.cut != "none":
        alone = steady_state(layer, placement, replace(numbers, batches=1), SCALARS)
        if placement.batches > 1:
            gain = alone.tpot_s / steady.tpot_s - 1
            yield f"{placement.batches} batches by turns: {gain:+.1%} over all requests in one batch"
    for pool in pools:
        yield f"linear layers on {pool.name}: operator roofline, {pool.count} x {pool.device.name}"
