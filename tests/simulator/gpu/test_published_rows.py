"""Published throughputs that were copied by hand, and the natural experiment of a card with twice the exponentials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simulator.targets.gpu.predict import predict
from simulator.targets.gpu.problem import Problem
from simulator.targets.gpu.rows import predict_rows

ROWS = Path(__file__).parents[2] / "reference" / "gpu_attention_rows.csv"


def flop(row: pd.Series) -> float:
    problem = Problem(
        pass_=row["pass"], batch=row.batch, q_heads=row.heads_q, kv_heads=row.heads_kv, head_dim=row.head_dim,
        q_len=row.seq_q, kv_len=row.seq_q, causal=bool(row.causal), window=row.window,
    )  # fmt: skip
    return problem.flop()


def test_published_rows_are_predicted_within_an_eighth_in_the_mean_and_a_third_each() -> None:
    rows = pd.read_csv(ROWS)
    table = predict_rows(rows)
    assert (table.why_not == "").all()
    error = np.abs(rows.apply(flop, axis=1) / table.predicted_s / 1e12 / rows.tflops - 1)
    assert error.mean() < 0.125
    assert error.max() < 0.33


@pytest.mark.parametrize(
    ("dtype", "head_dim", "causal", "pass_", "measured", "within"),
    [
        ("bf16", 128, False, "fwd", 1.163, 0.05),
        ("bf16", 128, True, "fwd", 1.204, 0.05),
        ("bf16", 128, True, "bwd", 1.09, 0.05),
        ("fp8", 128, False, "fwd", 1.408, 0.10),
        ("fp8", 128, True, "fwd", 1.397, 0.10),
    ],
)
def test_twice_the_exponentials_are_worth_what_was_measured(
    dtype: str, head_dim: int, causal: bool, pass_: str, measured: float, within: float
) -> None:
    """GB300 against GB200, cuDNN, mean of time ratios at 4k to 32k tokens (NVIDIA/cudnn-frontend benchmark CSVs)."""
    ratios = []
    for tokens in (4096, 8192, 16384, 32768):
        call = Problem(
            pass_=pass_, batch=2, q_heads=64, kv_heads=8, head_dim=head_dim, q_len=tokens, kv_len=tokens, causal=causal,
            dtype=dtype,
        )  # type: ignore[arg-type] # fmt: skip
        ratios.append(predict(call, "cudnn", "gb200").latency_s / predict(call, "cudnn", "gb300").latency_s)
    assert np.mean(ratios) == pytest.approx(measured, rel=within)
