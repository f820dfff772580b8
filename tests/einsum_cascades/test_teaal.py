"""TeAAL's einsum section: read to a cascade that computes the same, written where its language can say it."""

import numpy as np
import pytest

from einsum_cascades.diagnostics import Source, SpecError
from einsum_cascades.interpret import run
from einsum_cascades.parser import parse, parse_file
from einsum_cascades.registry import locate
from einsum_cascades.teaal import read_teaal, write_teaal

TEXT = """
einsum:
  declaration:
    A: [K, M]
    B: [K, N]
    T: [M, N]
    Z: []
  expressions:
  - T[m, n] = A[k, m] * B[k, n]
  - Z = T[m, n]
mapping: {}
"""


def test_an_einsum_section_computes_what_it_says() -> None:
    cascade = read_teaal(Source("mm.yaml", TEXT), "mm")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(3, 5))
    assert run(cascade, {"A": a, "B": b}, {"K": 3, "M": 4, "N": 5})["Z"] == pytest.approx((a.T @ b).sum())


def test_what_is_written_reads_back_equal() -> None:
    cascade = parse("cascade mm\nextent K, M, N\ninput A[K,M] B[K,N]\noutput Z[M,N]\nZ[m,n] = A[k,m] * B[k,n]")
    assert read_teaal(Source("mm.yaml", write_teaal(cascade)), "mm") == cascade


def test_every_einsum_that_teaal_cannot_say_is_named() -> None:
    with pytest.raises(SpecError) as caught:
        write_teaal(parse_file(locate("cascades", "attention_3pass")))
    assert [problem.message.split()[0] for problem in caught.value.problems] == ["GM", "SN", "A"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "is not YAML"), ("mapping: {}", "no einsum section"), (TEXT.replace("B: [K, N]", "C: [K]"), "B: used")],
)
def test_what_cannot_be_read_says_why(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read_teaal(Source("x.yaml", text), "x")


def test_a_gather_has_no_form_in_teaal() -> None:
    text = "cascade g\nextent M, P\ninput A[M] I[P] in M\noutput Z[P]\nZ[p] = A[I[p]]"
    with pytest.raises(SpecError, match="Z has no form in TeAAL: a coordinate that is looked up"):
        write_teaal(parse(text))
