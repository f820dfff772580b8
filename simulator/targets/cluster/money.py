"""What a link must do, and where one cluster stops paying against another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from arch_specs.clusters import Cluster
from simulator.targets.cluster.closed import steady_state
from simulator.targets.cluster.layer import Layer
from simulator.targets.cluster.placement import Placement, crossings
from simulator.targets.cluster.times import SCALARS, Numbers, Ops

__all__ = ["break_even", "nics_at_work", "required_link"]

_HALVINGS = 60


def required_link(
    layer: Layer, placement: Placement, numbers: Numbers, slowdown: float, ops: Ops
) -> tuple[Any | None, Any | None]:
    """Return the bytes/s of all NICs together, and the round trip, at which each alone slows a layer by `slowdown`.

    What a layer exchanges over `slowdown` times its Einsums, as Lamina (arXiv 2405.01814v2, section 4) has it; None
    for both where nothing crosses.
    """
    crossing = crossings(placement.cut)
    if not crossing:
        return None, None
    steady = steady_state(layer, placement, numbers, ops)
    messages = 2  # there and back; a query and its key and value are on their way together
    allowed = slowdown * steady.worked
    return steady.exchanged / allowed, 2 * allowed / messages


def nics_at_work(cluster: Cluster, placement: Placement, ops: Ops) -> Any:
    """Return how many NICs send at a time: those of the pool that has fewer."""
    linear, attention = placement.pools(cluster)
    return ops.smaller(linear.count * linear.nics_per_device, attention.count * attention.nics_per_device)


def break_even(
    layer: Layer, cluster: Cluster, placement: Placement, numbers: Numbers, baseline: float
) -> dict[str, float | None] | None:
    """Return the price of an attention device, the bandwidth of a NIC and the round trip at which a design yields as
    many tokens/s for a dollar an hour as a baseline; None where nothing crosses, or for a figure that cannot do it.
    """
    linear, attention = placement.pools(cluster)
    if linear.name == attention.name or linear.price is None:
        return None
    rate = steady_state(layer, placement, numbers, SCALARS).tokens_per_s
    price = (rate / baseline - linear.price.usd_per_h * linear.count) / attention.count
    found: dict[str, float | None] = {
        "usd_per_h_of_attention_device": price if price > 0 else None,
        "link_bytes_per_s_per_nic": None,
        "round_trip_s": None,
    }
    if attention.price is None:
        return found
    paid = linear.price.usd_per_h * linear.count + attention.price.usd_per_h * attention.count

    def pays(changed: Numbers) -> bool:
        return bool(steady_state(layer, placement, changed, SCALARS).tokens_per_s / paid >= baseline)

    nics = nics_at_work(cluster, placement, SCALARS)
    found["link_bytes_per_s_per_nic"] = _edge(lambda x: pays(replace(numbers, link_bytes_per_s=x * nics)), 1e15, 1e3)
    found["round_trip_s"] = _edge(lambda x: pays(replace(numbers, link_s=x / 2)), 1e-12, 1e3)
    return found


def _edge(holds: Callable[[float], bool], good: float, bad: float) -> float | None:
    """Return where a condition that holds at `good`, and not beyond some value towards `bad`, stops holding.

    None where it does not hold even at `good`; `bad` where it holds everywhere.

    >>> round(_edge(lambda x: x >= 25e9, 1e15, 1e3) / 1e9, 6)
    25.0
    """
    if not holds(good):
        return None
    if holds(bad):
        return bad
    for _ in range(_HALVINGS):
        middle = (good * bad) ** 0.5
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return good
