"""How many cluster designs a second; run with `pytest --extended tests/bench`."""

import numpy as np
import pytest

from simulator.library import load_cluster, load_model, load_placement
from simulator.targets.cluster.closed import steady_state
from simulator.targets.cluster.demand import Demand
from simulator.targets.cluster.evaluate import evaluate_cluster
from simulator.targets.cluster.layer import average_layer
from simulator.targets.cluster.sweep import Candidate, sweep_clusters
from simulator.targets.cluster.times import SCALARS, numbers_of

pytestmark = [pytest.mark.bench, pytest.mark.extended]

MODEL, CLUSTER, PLACEMENT = load_model("llama3_70b"), load_cluster("h100_h20"), load_placement("lamina")


def test_one_point(benchmark):
    layer, numbers = average_layer(MODEL), numbers_of(CLUSTER, PLACEMENT, 128.0, 4096.0)
    assert benchmark(steady_state, layer, PLACEMENT, numbers, SCALARS).tokens_per_s > 0


def test_one_report(benchmark):
    assert benchmark(evaluate_cluster, MODEL, CLUSTER, PLACEMENT, Demand(batch=128, context=4096)).batch == 128


def test_a_hundred_thousand_points(benchmark):
    axes = {
        "memory.count": [1, 2, 4, 8],
        "memory.price": np.linspace(1, 8, 50).tolist(),
        "network.bandwidth": np.geomspace(1e9, 1e11, 25).tolist(),
        "context": np.linspace(500, 60_000, 20).tolist(),
    }
    one = [Candidate("lamina", CLUSTER, PLACEMENT)]
    assert len(benchmark.pedantic(sweep_clusters, (MODEL, one, axes, Demand()), rounds=3)) == 100_000
