"""`import attnsim` is all that a user must remember."""

import numpy as np
import pytest

import attnsim


def test_names_lists_the_library():
    assert {"attention_1pass", "attention_3pass"} <= set(attnsim.names("cascades"))
    assert {"flat", "fusemax"} <= set(attnsim.names("archs"))


def test_a_cascade_of_one_s_own_runs_and_reads_back():
    text = "cascade dot  # inner product\nextent K\ninput A[K] B[K]\noutput Z[]\nZ[] = A[k] * B[k]\n"
    cascade = attnsim.parse(text)
    assert attnsim.parse(attnsim.text(cascade)) == cascade
    made = attnsim.run(cascade, {"A": np.arange(4.0), "B": np.ones(4)})
    assert made["Z"] == pytest.approx(6.0)


def test_evaluate_takes_names_or_a_design():
    design = attnsim.design("attention_1pass", "fusemax", workload="bert", M=4096, settings={"pe2d.rows": 128})
    by_names = attnsim.evaluate("attention_1pass", "fusemax", workload="bert", M=4096, settings={"pe2d.rows": 128})
    assert attnsim.evaluate(design).to_json() == by_names.to_json()


def test_a_sweep_keeps_infeasible_points_as_rows():
    table = attnsim.sweep(
        "attention_1pass", "fusemax", {"L3.capacity": ["64 KiB", "16 MiB"], "M": [1024, 4096]}, workload="bert"
    )
    assert list(table.feasible) == [False, False, True, True]
    assert table.why[0].startswith("mapping fusemax_binding needs 132,096 bytes of L3")
    assert table.latency_s.notna().sum() == 2


def test_load_finds_the_kind_by_the_name():
    assert attnsim.load("fusemax").value("pe2d.cols") == 256
    assert attnsim.load("bert").extents["B"] == 64


def test_an_analysis_prints_as_its_report():
    text = str(attnsim.analyze("attention_3pass"))
    assert "M      3" in text and "QK -> SN -> A" in text
    assert repr(attnsim.analyze("attention_3pass")) == text
