"""The same mapping, the same answer: figures that tools of others give for P1 (B=1, H=12, E=F=64, M=P=1024).

Machine of the comparison: 256 x 256 multiply-accumulate lanes and 256 vector lanes at 0.94 GHz, 400 GB/s, 16 MiB.
"""

from pathlib import Path

import pytest

from einsum_cascades.parser import parse
from simulator import library
from simulator.evaluate import evaluate
from simulator.workload import Workload

DATA = Path(__file__).parents[2] / "data"
POINT = {"B": 1, "H": 12, "E": 64, "M": 1024, "P": 1024}
COPY = """
cascade attention_copy
extent B, H, E, F, P, M
input Q[B,H,E,P] K[B,H,E,M] V[B,H,F,M]
output AV[B,H,F,P]

QK[b,h,m,p] = Q[b,h,e,p] * K[b,h,e,m]
A[b,h,m,p] = exp(QK[b,h,m,p])
AV[b,h,f,p] = A[b,h,m,p] * V[b,h,f,m]
"""
SCORES = """
cascade attention_scores
extent B, H, E, P, M
input Q[B,H,E,P] K[B,H,E,M]
output QK[B,H,M,P]

QK[b,h,m,p] = Q[b,h,e,p] * K[b,h,e,m]
"""


def chip():
    return library.load_machine("flat").replace("DRAM.bandwidth", "400 GB/s").replace("L3.capacity", "16 MiB")


def latency(cascade, mapping, machine, settings=None, **extents):
    workload = Workload.of(cascade, **POINT, **extents)
    return evaluate(library.make_design(workload, machine, library.load_mapping(DATA / mapping), settings)).latency_s


@pytest.mark.parametrize(("stationary", "published_us"), [("weight", 156.87), ("output", 117.65)])
def test_serial_attention_of_three_einsums_takes_what_accelforge_says(stationary, published_us):
    found = latency(parse(COPY), "serial_3_einsums.yaml", chip(), {"mapping.stationary": stationary}, F=64)
    assert found * 1e6 == pytest.approx(published_us, abs=0.006)


def test_serial_attention_of_six_einsums_takes_what_accelforge_says():
    found = latency(library.load_cascade("attention_3pass"), "serial_6_einsums.yaml", chip(), F=64)
    assert found * 1e6 == pytest.approx(313.74, abs=0.006)


def test_scores_alone_take_the_cycles_that_timeloop_says():
    # Timeloop was given a write bandwidth of 212.8 words of 2 bytes a cycle, and rounds the cycles up.
    machine = chip().replace("DRAM.bandwidth", None).replace("DRAM.write", 212.8 * 2 * 0.94e9)
    found = latency(parse(SCORES), "scores_to_dram.yaml", machine)
    assert found * 0.94e9 == pytest.approx(59131, abs=1)
