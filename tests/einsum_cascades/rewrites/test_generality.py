"""Cascades that no rule was written around: each ends with the passes that can be argued for by hand, checked equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from einsum_cascades.equivalence.compare import compare_with_cascade
from einsum_cascades.interpret import run
from einsum_cascades.parser import parse, parse_file
from einsum_cascades.rewrites.online import online
from einsum_cascades.rewrites.rule import Refusal, Rewrite
from einsum_cascades.rewrites.rules import RULES
from einsum_cascades.rewrites.scan import scan
from einsum_cascades.rewrites.search import rewrite
from einsum_cascades.rewrites.split import split_rank

HERE = Path(__file__).parents[2] / "data" / "rewrites"

# cascade, rank, passes as written, passes found, whether a step may cancel
CASES = [
    ("softmax_entropy", "M", 3, 1, True),
    ("cross_entropy", "V", 3, 1, True),
    ("variance", "D", 2, 1, False),
    ("layernorm_product", "D", 3, 1, True),
    ("rmsnorm_gated", "D", 2, 1, False),
    ("softmax_backward", "M", 4, 1, True),
    ("attention_sink_cap", "M", 3, 1, False),
    ("logsumexp_pooling", "S", 2, 1, False),
    ("top1_score", "N", 3, 1, False),
    ("softmax_two_level", "M", 3, 1, False),
    ("softmax_two_level", "G", 3, 1, False),
    ("attention_variance", "M", 4, 1, True),
    ("moving_average", "I", 1, 1, False),
    ("attention_by_mask", "M", 3, 1, False),
    ("entropy_of_logarithms", "M", 3, 1, True),
    ("qk_norm", "M", 3, 1, False),
    ("qk_norm", "E", 2, 1, False),
    ("kl_divergence", "M", 3, 1, True),
    ("attention_normalised_scores", "M", 5, 2, False),
]


@pytest.mark.parametrize("name", [p.stem for p in sorted(HERE.glob("*.cascade"))])
def test_the_passes_that_a_cascade_ends_with(name: str) -> None:
    found = rewrite(parse_file(HERE / f"{name}.cascade"), budget=20, rounds=3)
    assert not found.rejected
    rows = [case for case in CASES if case[0] == name]
    assert rows
    for _, rank, before, after, cancels in rows:
        assert str(found.original.objectives.passes[rank]) == str(before)
        assert str(found.best.objectives.passes[rank]) == str(after)
        assert found.best.objectives.stable is not cancels


EXPONENTIAL = """cascade t
extent M
input   X[M]  Y[M]
output  Z[]
G[] = X[m] :: max
Z[] = exp(X[m] {operator} G[]) * Y[m]
"""


def scanned(text: str) -> list[Rewrite | Refusal]:
    answer = split_rank(parse(text), "M")
    assert isinstance(answer, Rewrite)
    first = next(a for a in scan(answer.cascade) if a.where == "G")
    assert isinstance(first, Rewrite)
    return list(online(first.cascade))


def test_an_exponential_of_a_product_is_refused_with_the_reason() -> None:
    (answer,) = scanned(EXPONENTIAL.format(operator="*"))
    assert isinstance(answer, Refusal)
    assert answer.reason == (
        "the quotient of exp(X[m1*M0+m0] * RG[M1]) at two values of RG[M1] still depends on X[m1*M0+m0]"
    )


def test_an_exponential_that_could_grow_is_refused() -> None:
    (answer,) = scanned(EXPONENTIAL.format(operator="+"))
    assert isinstance(answer, Refusal)
    assert answer.reason == "its correction may exceed one, so that it could overflow"
    (answer,) = scanned(EXPONENTIAL.format(operator="-"))
    assert isinstance(answer, Rewrite)


def test_a_sum_that_follows_a_sum_is_deferred_and_not_divided_by_what_may_vanish() -> None:
    text = "cascade t\nextent K\ninput A[K] B[K]\noutput Z[]\nY[] = A[k] * B[k]\nZ[] = Y[] * A[k]\n"
    found = rewrite(parse(text))
    assert [f"{s.rule} {s.where}" for s in found.best.steps] == ["defer Z"]
    assert str(found.best.objectives.passes["K"]) == "1"


def test_a_factor_that_may_be_zero_is_not_cancelled() -> None:
    text = "cascade t\nextent K\ninput A[K]\noutput Z[]\nY[] = A[k]\nC[k] = A[k] / Y[]\nZ[] = C[k] * Y[]\n"
    for f in rewrite(parse(text)).pareto:
        assert compare_with_cascade(f.cascade, parse(text), rounds=30).equal


def test_an_output_that_is_written_tile_by_tile_keeps_its_rank() -> None:
    start = parse_file(HERE / "softmax_backward.cascade")
    answer = split_rank(start, "E")
    assert isinstance(answer, Rewrite)
    for made in (a for rule in RULES.values() for a in rule(answer.cascade) if isinstance(a, Rewrite)):
        assert compare_with_cascade(made.cascade, start, rounds=2).equal, (made.rule, made.where)


def test_a_variance_about_the_means_of_tiles_keeps_its_digits_and_one_of_squares_loses_them() -> None:
    found = rewrite(parse_file(HERE / "variance.cascade"))
    one_pass = {f.objectives.stable: f.cascade for f in found.pareto if str(f.objectives.passes["D"]) == "1"}
    inputs = {"X": 1e8 + np.random.default_rng(0).normal(size=(3, 64))}
    expected = inputs["X"].var(axis=1)
    np.testing.assert_allclose(run(one_pass[True], inputs, {"D0": 8})["V"], expected, rtol=1e-6)
    assert np.abs(run(one_pass[False], inputs, {})["V"] / expected - 1).max() > 0.1


def test_a_coordinate_that_is_used_as_a_number_is_streamed() -> None:
    text = EXPONENTIAL.format(operator="-").replace("exp(X[m] - G[])", "exp(m * (X[m] - G[]))")
    (answer,) = scanned(text)
    assert isinstance(answer, Refusal)
    assert "still depends on" in answer.reason
