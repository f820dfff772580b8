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


def test_a_rank_that_equals_another_is_no_choice_of_tiles() -> None:
    text = "cascade t\nextent P, M = P\ninput X[M,P]\noutput Z[P]\nZ[p] = X[m,p]\n"
    found = search(Workload.of(parse(text), M=64), library.load_machine("fusemax"))
    assert found.design.extents == {"P": 64, "M": 64}
