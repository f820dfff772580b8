"""A search names the Einsums that a machine cannot compute, and what each part lacks, before it searches."""

import pytest

from einsum_cascades.diagnostics import MappingError
from einsum_cascades.parser import parse
from simulator import library
from simulator.search.search import search
from simulator.workload import Workload

TEXT = """cascade t
extent M, P
input  X[M,P]
output Z[P]
Y[m,p] = tanh(X[m,p])
W[m,p] = cos(Y[m,p])
Z[p]   = W[m,p]
"""


def test_what_no_part_can_compute_is_named_with_what_each_lacks() -> None:
    workload = Workload.of(parse(TEXT), M=64, P=64)
    with pytest.raises(MappingError) as caught:
        search(workload, library.load_machine("fusemax"))
    assert str(caught.value).splitlines() == [
        "no part of fusemax can compute Y: pe2d lacks tanh; pe1d lacks tanh",
        "no part of fusemax can compute W: pe2d lacks cos; pe1d lacks cos",
    ]
