"""A cluster from its YAML file: every number with a unit and a source, every price with its date too.

summary: one line for `attnsim list`
source: of every number in the file that has no nearer one
pools:
  memory: {device: h20, count: 4, usable: 0.9, price: {value: 4.63 USD/h, date: 2025-04, source: "..."},
           efficiency: {linear_bandwidth: 0.8, ...}, inside: {round_trip: 15 us, bandwidth: 357 GB/s}}
links:
  network: {between: [compute, memory], round_trip: 33 us, bandwidth: 45.7 GB/s}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from arch_specs.clusters import Cluster, Device, Efficiency, Link, Pool, Price, Wire
from arch_specs.load_device import load_device
from arch_specs.reader import Fields, Node, Problems, read_yaml
from arch_specs.schema import read_fields, schema_keys
from arch_specs.sourced import Sourced, optional_text
from einsum_cascades.diagnostics import Source, SpecError, read_source

__all__ = ["load_cluster_file", "read_cluster"]

T = TypeVar("T")
_POOL = ("device", "count", "efficiency")
_POOL_MORE = ("usable", "nics_per_device", "price", "inside", "source")


def load_cluster_file(path: str | Path, search: Sequence[str | Path] = ()) -> Cluster:
    """Return the cluster that a YAML file describes; SpecError with every problem of the file.

    Devices are those of the library; `search` holds folders that are looked at first.
    """
    return read_cluster(read_source(path), Path(path).stem, partial(load_device, search=search))


def read_cluster(source: Source, name: str, device: Callable[[str], Device] = load_device) -> Cluster:
    """Return the cluster that a YAML text describes; SpecError with every problem of the text.

    >>> text = '''
    ... summary: one card
    ... source: made up
    ... pools:
    ...   cards: {device: h20, count: 1, efficiency: {linear_bandwidth: 1, linear_compute: 1, attention_bandwidth: 1,
    ...           attention_compute: 1}}
    ... '''
    >>> read_cluster(Source("one.yaml", text), "one").value("cards.dram")
    96000000000
    """
    problems = Problems()
    fields = read_yaml(source, problems).mapping(
        ("pools",), ("kind", "name", "summary", "links", "source"), "a cluster"
    )
    reader = Sourced(optional_text(fields, "source"))
    pools = [_pool(reader, key.key, node, device) for key, node in fields["pools"].entries()]
    if "pools" in fields and fields["pools"].form == "mapping" and not pools:
        fields["pools"].report("a cluster without pools")
    links = []
    if "links" in fields:
        names = [key.key for key, _ in fields["pools"].entries()]
        links = [_link(reader, key.key, node, names) for key, node in fields["links"].entries()]
    summary = optional_text(fields, "summary")
    problems.finish()
    return Cluster(
        optional_text(fields, "name") or name,
        tuple(pool for pool in pools if pool is not None),
        tuple(links),
        summary,
        reader.sources,
        frozenset(reader.uncertain),
    )


def _record(reader: Sourced, node: Node, kind: type[T], owner: str, source: str) -> T:
    """Return a record of numbers that stands under one key."""
    without = {"name", "between"}
    required, optional = schema_keys(kind, without)
    fields = node.mapping(required, (*optional, "source", *(("between",) if kind is Link else ())), f"'{node.key}'")
    source = optional_text(fields, "source") or source
    values = read_fields(fields, kind, without, lambda n, field: reader.number(n, f"{owner}.{field}", source))
    if kind is Link:
        values["between"] = fields["between"].names() if "between" in fields else ()
        values["name"] = owner
    return kind(**values)


def _pool(reader: Sourced, name: str, node: Node, device: Callable[[str], Device]) -> Pool | None:
    fields = node.mapping(_POOL, _POOL_MORE, f"pool '{name}'")
    source = optional_text(fields, "source")
    efficiency = _record(reader, fields["efficiency"], Efficiency, name, source) if "efficiency" in fields else None
    shares = dataclasses.asdict(efficiency) if efficiency else {}
    for key, share in shares.items():
        if key != "sharpness" and not 0 < share <= 1:
            fields["efficiency"].report(f"'{key}' is {share:g}, but a share is above 0 and at most 1")
    count = fields["count"].integer()
    usable = reader.number(fields["usable"], f"{name}.usable", source).number() if "usable" in fields else 1.0
    if not 0 < usable <= 1:
        fields["usable"].report(f"'usable' is {usable:g}, but a share is above 0 and at most 1")
    nics = fields["nics_per_device"].number() if "nics_per_device" in fields else 1.0
    if nics <= 0:
        fields["nics_per_device"].report(f"'nics_per_device' is {nics:g}, but must be above 0")
    inside = _record(reader, fields["inside"], Wire, f"{name}.inside", source) if "inside" in fields else None
    found = _device(fields, device)
    if found is None or efficiency is None:
        return None
    price = _price(fields["price"]) if "price" in fields else found.price
    return Pool(name, found, count, efficiency, usable, nics, price, inside)


def _device(fields: Fields, device: Callable[[str], Device]) -> Device | None:
    name = fields["device"].text()
    if not name:
        return None
    try:
        return device(name)
    except SpecError as error:
        for problem in error.problems:
            if problem.span is None:
                fields["device"].report(problem.message, problem.hint)
            else:
                fields["device"].problems.add(problem.message, problem.span, problem.hint)
        return None


def _price(node: Node) -> Price | None:
    """Return a price; one without a date and a source is a problem."""
    if node.form != "mapping":
        node.report("a price has a source", "write {value: 4.63 USD/h, date: 2025-04, source: ...}")
        return None
    fields = node.mapping(("value", "date", "source"), (), "a price")
    value = dataclasses.replace(fields["value"], key="price").quantity("usd_per_h")
    return Price(float(value), fields["date"].text(), fields["source"].text())


def _link(reader: Sourced, name: str, node: Node, pools: list[str]) -> Link:
    link = _record(reader, node, Link, name, "")
    between = next((value for key, value in node.entries() if key.key == "between"), None)
    if between is None:
        node.report(f"link '{name}' lacks the key 'between'", "the two pools that it connects, e.g. [compute, memory]")
    else:
        for item in between.items():
            item.choice(pools, "a pool")
        if len(link.between) != 2:
            between.report(f"link '{name}' connects two pools, found {len(link.between)}")
    return link
