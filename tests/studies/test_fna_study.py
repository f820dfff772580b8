"""Faster Neighborhood Attention: bounds of three mappings by hand, and what of the published averages they explain."""

import pytest

from arch_specs.load_gpu import load_gpu
from studies.fna_model import KERNELS, Shape, bound_program, lower_kernel
from studies.study import Result, load_study

A100 = load_gpu("a100_sxm_80")
LINE = Shape((4096,), (127,), (1,), 32, 64, "fp16")


@pytest.fixture(scope="module")
def result() -> Result:
    return load_study("fna").run()


def seconds(kernel, shape=LINE, reads="each"):
    return bound_program(lower_kernel(kernel, shape, A100, reads))[0]


def test_a_fused_kernel_with_a_small_window_takes_what_its_four_tensors_take_to_move():
    assert seconds("fused") == pytest.approx(4 * 4096 * 32 * 64 * 2 / 2.039e12, rel=1e-9)


def test_matrix_products_take_what_scores_and_weights_take_to_move():
    tensor, weights = 4096 * 32 * 64 * 2, 4096 * 127 * 32 * 2
    # Q, K in; scores out, in; weights out, in; V in, output out
    assert seconds("gemm") == pytest.approx((4 * tensor + 4 * weights) / 2.039e12, rel=1e-9)


def test_a_naive_kernel_reads_each_querys_keys_from_l2():
    scores = 4096 * 127 * 32
    softmax = 2 * scores * 2 / 2.039e12
    assert seconds("naive") == pytest.approx(2 * scores * 64 * 2 / 4.3e12 + softmax, rel=1e-9)
    lanes = scores * 64 / (108 * 64 * 1.41e9)  # with keys at hand a lane does a product and sum in a clock
    assert seconds("naive", reads="tile") == pytest.approx(2 * lanes + softmax, rel=1e-9)


def test_wide_windows_at_a_wide_head_dim_are_not_bound_by_memory():
    wide = Shape((8192,), (4095,), (1,), 32, 128, "fp16")
    assert "dram" not in bound_program(lower_kernel("fused", wide, A100))[1]


def test_fusion_and_tensor_cores_never_lose_to_the_naive_mapping(result):
    rows = result.tables["fna_problems"]
    assert (rows.fused_s <= rows.gemm_s).all()
    assert (rows.gemm_s <= rows.naive_s).all() and (rows.naive_tile_s <= rows.naive_s).all()
    assert {kernel + "_s" for kernel in KERNELS} <= set(rows)


def test_averages_over_the_naive_kernel_lie_between_two_readings_of_it(result):
    rows = result.tables["fna_kernels"]
    over = rows[rows.over == "naive"]
    inside = (over.average_low <= over.published_average) & (over.published_average <= over.average)
    assert list(zip(over[~inside].kernel, over[~inside]["rank"], over[~inside]["dtype"], strict=True)) == [
        ("gemm", 1, "fp32")
    ]


def test_what_fusion_saves_in_one_dimension_at_16_bits_follows_from_traffic(result):
    rows = result.tables["fna_kernels"]
    row = rows[(rows.over == "gemm") & (rows["rank"] == 1) & (rows["dtype"] == "fp16")].iloc[0]
    assert row.average == pytest.approx(row.published_average, rel=0.1)


def test_the_card_names_what_does_not_follow(result):
    verdicts = {claim.claim: claim.verdict for claim in result.card}
    assert verdicts["fused over gemm, 1-D, fp16: average ratio of times"] == "reproduced"
    assert verdicts["fused over gemm, 1-D, fp32: average ratio of times"] == "differs"
    assert set(result.figures) == {"fna_kernels"}
