"""Task events per second of the engine; run with `pytest tests/bench`, never part of the default run.

The numbers to look at are the ratios within one run: static order to greedy, compiled to plain Python, leap to full.
"""

from fractions import Fraction

import pytest

from simulator.bounds import bound_group
from simulator.engine.plan import compile_group
from simulator.engine.run import run_compiled
from simulator.scheduler import pipeline, schedule
from simulator.taskgraph import Edge, Group, Resource, Task, TaskGraph

pytestmark = [pytest.mark.bench, pytest.mark.extended]

WORK = {
    "pe2d": {"QK": 64, "LM": 1, "SLN": 7, "SLD": 1, "SLNV": 64},
    "pe1d": {"RM": 1, "PRM": 7, "SPD": 1, "RD": 1, "SPNV": 64, "RNV": 64},
}
NOW = "QK LM,LM RM,QK SLN,RM SLN,SLN SLD,SLN SLNV,RM PRM,PRM SPD,SLD RD,SPD RD,PRM SPNV,SLNV RNV,SPNV RNV"
LATER = "RM RM,RM PRM,RD SPD,RNV SPNV"


def fusemax(discipline):
    """The inner loop of FuseMax: eleven tasks on two arrays, four query tiles interleaved."""
    tasks = [
        Task(name, {part: Fraction(ticks)}, Fraction(ticks))
        for part, held in WORK.items()
        for name, ticks in held.items()
    ]
    edges = [Edge(*pair.split()) for pair in NOW.split(",")] + [Edge(*pair.split(), 4) for pair in LATER.split(",")]
    # Four tiles are alive at once, so that the first array cannot run away from the second.
    edges.append(Edge("RNV", "QK", 4, "buffer"))
    resources = tuple(Resource(part, discipline=discipline) for part in WORK)
    return TaskGraph(resources, tuple(tasks), tuple(edges), 1e-9)


def measure(benchmark, graph, iterations, **options):
    compiled = compile_group(Group(graph, iterations))
    run_compiled(compiled, **options)  # compile before the clock runs
    run = benchmark(run_compiled, compiled, **options)
    events = sum(run.firings.values())
    benchmark.extra_info["events"] = events
    benchmark.extra_info["events_per_second"] = events / benchmark.stats["min"]
    assert run.makespan >= bound_group(Group(graph, iterations)).finite


def test_static_order(benchmark):
    graph = fusemax("listed")
    measure(benchmark, pipeline(graph, schedule(graph)), 1_000_000, extrapolate=False)


def test_events_in_listed_order(benchmark):
    graph = fusemax("listed")
    measure(benchmark, pipeline(graph, schedule(graph)), 100_000, extrapolate=False, window=(0, 1))


def test_greedy(benchmark):
    measure(benchmark, fusemax("greedy"), 100_000, extrapolate=False)


def test_plain_python(benchmark):
    measure(benchmark, fusemax("greedy"), 300, extrapolate=False, python=True)


def test_leap_over_a_hundred_billion_events(benchmark):
    measure(benchmark, fusemax("greedy"), 10**10)
