"""Predictors and splits: each baseline recovers the world that it assumes; folds never teach what they judge."""

import numpy as np
import pandas as pd
import pytest

from simulator.targets.gpu.gate import judge_rows
from studies.gpu_baselines import (
    add_features,
    fit_nearest,
    fit_residual_trees,
    fit_roofline,
    fit_scaled_roofline,
    fit_trees,
)
from studies.gpu_scores import count_covered, score, score_by
from studies.gpu_splits import SPLITS, make_folds


def world(law, gpus=("h100_sxm", "b200")):
    """Rows whose time is a law of their roofline."""
    rows = [
        {"gpu": gpu, "kernel": "fa3", "op": "sdpa", "dtype": "bf16", "kv_dtype": "bf16", "pass": "fwd", "causal": 0}
        | {"batch": batch, "heads_q": heads, "heads_kv": heads, "head_dim": dim, "head_dim_v": dim, "seq_q": length}
        | {"seq_kv": length, "window": 0, "time_ms": 1e9, "timing": "cudagraph", "flag": ""}
        for gpu in gpus
        for batch in (1, 4, 16)
        for heads in (8, 32)
        for dim in (64, 128)
        for length in (512, 2048, 8192, 16384)
    ]
    frame = pd.DataFrame(rows).assign(row=range(1, len(rows) + 1))
    frame = add_features(frame.join(judge_rows(frame)))
    return frame.assign(time_ms=1e3 * law(frame.roofline_s.to_numpy()), schedule="fa3")


def error(fit, frame, chosen):
    predicted = fit(frame[~chosen])(frame[chosen])
    return score(predicted, frame.time_ms[chosen].to_numpy() / 1e3)["mape"]


def test_the_roofline_is_right_in_its_own_world():
    frame = world(lambda roofline: roofline)
    assert error(fit_roofline, frame, np.ones(len(frame), bool)) == pytest.approx(0.0, abs=1e-12)


def test_the_fitted_roofline_finds_efficiency_and_launch_time():
    frame = world(lambda roofline: roofline / 0.6 + 2e-5)
    large = frame.batch.to_numpy() > 8
    assert error(fit_scaled_roofline, frame, large) < 0.08
    assert error(fit_roofline, frame, large) > 0.3


def test_the_nearest_row_is_exact_on_a_row_that_it_has_seen_and_scales_by_the_roofline():
    frame = world(lambda roofline: roofline / 0.6)
    odd = frame.batch.to_numpy() == 4
    assert error(fit_nearest, frame, odd) == pytest.approx(0.0, abs=1e-9)


def test_trees_interpolate_what_a_roofline_cannot_say():
    pytest.importorskip("sklearn")
    frame = world(lambda roofline: roofline)
    frame = frame.assign(time_ms=frame.time_ms * np.where(frame.head_dim == 64, 2.0, 1.0))
    odd = np.arange(len(frame)) % 5 == 0
    assert error(fit_trees, frame, odd) < error(fit_scaled_roofline, frame, odd) / 2


def test_the_hybrid_removes_a_bias_that_depends_on_a_name():
    pytest.importorskip("sklearn")
    frame = world(lambda roofline: roofline)
    bias = np.where(frame.gpu == "b200", 1.5, 0.8)
    frame = frame.assign(ours_s=frame.time_ms / 1e3 * bias)
    odd = np.arange(len(frame)) % 3 == 0
    assert error(fit_residual_trees, frame, odd) < 0.02


@pytest.mark.parametrize("split", SPLITS)
def test_no_row_both_teaches_and_judges(split):
    frame = world(lambda roofline: roofline)
    folds = list(make_folds(frame, split))
    judged = sum(fold.test.astype(int) for fold in folds) if folds else np.zeros(1)
    assert judged.max() <= 1
    assert not any((fold.train & fold.test).any() for fold in folds)


def test_the_random_halves_judge_each_other_whatever_the_order_of_rows():
    frame = world(lambda roofline: roofline)
    first, second = sorted(make_folds(frame, "random half"), key=lambda fold: fold.left_out)
    assert (first.test == second.train).all()
    turned = frame.iloc[::-1].reset_index(drop=True)
    again = min(make_folds(turned, "random half"), key=lambda fold: fold.left_out)
    assert again.test[::-1].tolist() == first.test.tolist()
    assert 0.3 < first.test.mean() < 0.7


def test_a_value_left_out_is_in_no_row_that_teaches():
    frame = world(lambda roofline: roofline)
    for fold in make_folds(frame, "unseen GPU"):
        assert fold.left_out not in set(frame.card[fold.train])
        assert set(frame.card[fold.test]) == {fold.left_out}


def test_mape_rewards_low_predictions_and_the_logarithm_does_not():
    measured = np.ones(4)
    low, high = score(measured / 4, measured), score(measured * 4, measured)
    assert (low["mape"], high["mape"]) == (0.75, 3.0)
    assert low["mean_abs_ln"] == pytest.approx(high["mean_abs_ln"])


def test_rows_without_a_prediction_do_not_count():
    found = score(np.array([1.1, np.nan]), np.array([1.0, 1.0]))
    assert (found["rows"], found["mape"]) == (1, pytest.approx(0.1))
    assert score(np.array([np.nan]), np.array([1.0]))["rows"] == 0


def test_scores_by_group_add_up_to_the_whole():
    frame = world(lambda roofline: roofline).assign(predicted_s=lambda f: f.time_ms / 1e3 * (1 + 0.1 * (f.batch == 1)))
    groups = score_by(frame, ("gpu", "head_dim"))
    assert (groups.mape * groups.rows).sum() / groups.rows.sum() == pytest.approx(
        score(frame.predicted_s.to_numpy(), frame.time_ms.to_numpy() / 1e3)["mape"]
    )


def test_coverage_counts_only_rows_that_have_an_interval():
    assert count_covered(np.array([1.0, np.nan]), np.array([3.0, np.nan]), np.array([2.0, 2.0])) == 1.0
