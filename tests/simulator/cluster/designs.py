"""Designs that the tests of the cluster target share."""

import csv
from dataclasses import replace
from functools import cache
from pathlib import Path

from arch_specs.clusters import Cluster, Efficiency
from simulator import library
from simulator.targets.cluster.demand import Demand
from simulator.targets.cluster.placement import Placement
from simulator.transformer import Model

load_cluster, load_model = cache(library.load_cluster), cache(library.load_model)
ROOT = Path(__file__).parents[3]
PLAIN = Efficiency(0.8, 0.65, 0.75, 0.65)
TOGETHER = Placement("none")
CORE = Placement("attention core")


def rows(path: str) -> list[dict[str, str]]:
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


SETUPS = {row["model"]: row for row in rows("studies/data/lamina_setups.csv")}
TRACES = {row["trace"]: row for row in rows("studies/data/lamina_traces.csv")}
CASES = [(model, trace) for model in SETUPS for trace in TRACES]


def paper_model(name: str) -> Model:
    return replace(load_model(name), given_weight_bytes=round(float(SETUPS[name]["weights_gb"]) * 1e9))


def plain(cluster: Cluster, *counts: int) -> Cluster:
    """The cluster with the rates and the plain maxima of the paper, and nothing inside its pools."""
    rates = {"h100_sxm": 989e12, "h20": 148e12}
    pools = tuple(
        replace(
            pool,
            count=count,
            efficiency=PLAIN,
            inside=None,
            device=replace(pool.device, flop_per_s=rates[pool.device.name]),
        )
        for pool, count in zip(cluster.pools, counts, strict=True)
    )
    return replace(cluster, pools=pools)


def pair(compute: int, memory: int) -> Cluster:
    return plain(load_cluster("h100_h20"), compute, memory)


def alone(count: int) -> Cluster:
    return plain(load_cluster("h100"), count)


def trace_demand(trace: str, batch: int | None = None) -> Demand:
    row = TRACES[trace]
    return Demand(batch=batch, context=float(row["prompt"]) + float(row["generated"]) / 2, block=1)
