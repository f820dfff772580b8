"""Decisions: a perfect model never regrets, a reversed one always does, ties are worth a coin."""

import pandas as pd
import pytest

from studies.gpu_decisions import choices, name_faster, pairs, summarize


def rows(*kernels, problem=1):
    shape = {"card": "h100_sxm", "op": "sdpa", "dtype": "bf16", "kv_dtype": "bf16", "pass": "fwd", "causal": 0}
    shape |= {"batch": problem, "heads_q": 16, "heads_kv": 16, "head_dim": 128, "head_dim_v": 128}
    shape |= {"seq_q": 4096, "seq_kv": 4096, "window": 0, "timing": "cudagraph"}
    return [shape | {"kernel": name, "time_ms": time, "predicted_s": guess} for name, time, guess in kernels]


def test_a_perfect_model_never_regrets():
    frame = pd.DataFrame(rows(("a", 1.0, 1e-3), ("b", 2.0, 2e-3), ("c", 1.5, 1.5e-3)))
    found = summarize(frame)
    assert (found["median_regret"], found["named_rightly"], found["pairs"]) == (0.0, 1.0, 3)


def test_a_reversed_model_regrets_the_whole_difference():
    frame = pd.DataFrame(rows(("a", 1.0, 3.0), ("b", 1.5, 1.0)))
    assert choices(frame)["regret"].tolist() == [0.5]
    assert pairs(frame)["right"].tolist() == [0.0]


def test_a_tie_is_worth_a_coin_and_shares_its_regret():
    frame = pd.DataFrame(rows(("a", 1.0, 1.0), ("b", 1.5, 1.0)))
    assert choices(frame)["regret"].tolist() == [0.25]
    assert pairs(frame)["right"].tolist() == [0.5]


def test_pairs_within_a_tenth_are_not_asked():
    assert pairs(pd.DataFrame(rows(("a", 1.0, 2.0), ("b", 1.09, 1.0)))).empty


def test_kernels_on_different_problems_are_no_alternatives():
    frame = pd.DataFrame(rows(("a", 1.0, 1.0)) + rows(("b", 2.0, 2.0), problem=2))
    assert summarize(frame)["problems"] == 0


def test_repeated_rows_of_one_kernel_count_as_their_median():
    frame = pd.DataFrame(rows(("a", 1.0, 1.0), ("a", 3.0, 1.0), ("a", 1.2, 1.0), ("b", 2.0, 2.0)))
    (one,) = pairs(frame).to_dict("records")
    assert (one["faster"], one["times"]) == ("a", pytest.approx(2 / 1.2))


def test_a_kernel_without_prediction_is_no_alternative():
    frame = pd.DataFrame(rows(("a", 1.0, float("nan")), ("b", 2.0, 2.0)))
    assert choices(frame).empty


def test_names_are_counted_by_pair():
    frame = pd.DataFrame(rows(("a", 1.0, 1.0), ("b", 2.0, 2.0)) + rows(("a", 1.0, 3.0), ("b", 2.0, 2.0), problem=2))
    assert name_faster(pairs(frame)).to_dict("records") == [{"faster": "a", "slower": "b", "pairs": 2, "right": 0.5}]
