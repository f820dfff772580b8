"""How many designs a second; run with `pytest --extended tests/bench`. The figures are in BENCHMARKS.md.

`kernel`: columns in, columns out, for all columns of a table (latency, ceiling, energy, traffic, area, bound by,
utilization of each resource, the reason of infeasible designs), every parameter below an array of its own.
`chosen`: machines x the mapping that is best on each. `study`: a process from start to Parquet.
"""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simulator import library
from simulator.sweep.run import Sweep
from simulator.sweep.space import make_space
from simulator.workload import Workload

pytestmark = [pytest.mark.bench, pytest.mark.extended]

ROOT = Path(__file__).parents[2]
ROWS = 65_536
SIZES = {
    "M": "2^10..2^20",
    "pe2d.rows": "64..512:64",
    "pe2d.cols": "64,128,256",
    "pe1d.rows": "64..512:64",
    "L3.capacity": "1MiB..32MiB:1MiB",
    "clock": "500MHz..1400MHz:60MHz",
    "B": [1, 8, 64],
}
CASES = {
    "fusemax_binding": ("attention_1pass", "fusemax", {"mapping.queries": "256,1024,4096"}),
    "fusemax_arch": ("attention_1pass", "fusemax", {"mapping.queries": "256,1024,4096"}),
    "fusemax_cascade": ("attention_1pass", "flat", {"mapping.queries": "256,1024,4096"}),
    "unfused": ("attention_3pass", "flat", {"mapping.queries": "256,1024,4096"}),
    "flat": (
        "attention_3pass",
        "flat",
        {
            "mapping.rows": "256,1024",
            "mapping.resident": "Q+K",
            "mapping.scores": "on_chip",
            "mapping.stationary": "output",
        },
    ),
    "linear": ("linear", "fusemax", {"mapping.tokens": "256,1024", "mapping.order": "tokens_resident"}),
}


def sweep(mapping, axes, *, chosen=False):
    cascade, arch, knobs = CASES[mapping]
    given = {"H": 12, "E": 64, "F": 64} if cascade != "linear" else {"K": 768, "N": 3072}
    renamed = {"M": "T"} if cascade == "linear" else {}
    axes = {renamed.get(name, name): values for name, values in axes.items() if (cascade, name) != ("linear", "B")}
    workload = Workload.of(library.load_cascade(cascade), **given)
    if cascade != "linear":
        workload = Workload(workload.cascade, {"B": 64, **workload.extents}, equal={"P": "M"})
    return Sweep(
        make_space(
            workload, library.load_machine(arch), axes | ({} if chosen else knobs), library.load_mapping(mapping)
        )
    )


def note(benchmark, rows):
    benchmark.extra_info["million_per_s"] = round(rows / benchmark.stats.stats.min / 1e6, 2)


@pytest.mark.parametrize("mapping", CASES)
def test_kernel(benchmark, mapping):
    vector = sweep(mapping, SIZES).vector
    kernel = vector.structures[0].full
    places = vector.space.places(np.random.default_rng(1).integers(0, vector.space.points, ROWS))
    columns = vector.inputs.columns(kernel.parameters, places)
    run, strips, fixed, given, out = kernel.bind(columns, ROWS)
    benchmark(run, strips, fixed, given, out)
    assert np.isfinite(out).any()
    note(benchmark, ROWS)


def test_machines_times_optimal_mapping(benchmark):
    vector = sweep("fusemax_binding", SIZES, chosen=True).vector
    vector.prepare()
    numbers = np.arange(16_384)
    table = benchmark(vector.table, numbers)
    assert table["feasible"].any()
    note(benchmark, len(numbers))


def study(tmp_path, axes):
    words = [word for axis in axes for word in ("--set", axis)]
    command = [sys.executable, "-m", "studies.cli", "sweep", "attention_1pass", "fusemax", "--workload", "bert"]
    out = tmp_path / "t.parquet"
    out.unlink(missing_ok=True)
    subprocess.run([*command, *words, "--out", str(out)], cwd=ROOT, check=True, capture_output=True)


STUDY = ["M=2^10..2^15", "L3.capacity=1MiB..20MiB:1MiB", "pe2d.rows=64..512:64", "pe1d.rows=64..320:64"]


def test_a_study_of_24_000_designs_with_start_up_and_parquet(benchmark, tmp_path):
    axes = [*STUDY, "clock=500MHz..900MHz:100MHz"]
    benchmark.pedantic(study, (tmp_path, axes), rounds=3, warmup_rounds=1)
    assert benchmark.stats.stats.min < 3


def test_a_million_designs_with_start_up_and_parquet(benchmark, tmp_path):
    axes = [*STUDY, "clock=500MHz..1400MHz:60MHz", "B=1..14"]
    benchmark.pedantic(study, (tmp_path, axes), rounds=1, warmup_rounds=1)
    assert benchmark.stats.stats.min < 10
    benchmark.extra_info["peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 // 10**6
