"""The physics gate: pairs by brute force, refusals that name the factor, and nothing legitimate refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arch_specs.load_gpu import load_gpu
from einsum_cascades.diagnostics import SpecError
from simulator.targets.gpu.gate import count_work, judge_rows


def row(**changes):
    base = {"row": 1, "gpu": "h100_sxm", "kernel": "fa3", "op": "sdpa", "dtype": "bf16", "kv_dtype": "bf16"}
    base |= {"pass": "fwd", "causal": 0, "batch": 1, "heads_q": 16, "heads_kv": 16, "head_dim": 128}
    base |= {"head_dim_v": 128, "seq_q": 16384, "seq_kv": 16384, "window": 0, "time_ms": 10.0, "flag": ""}
    return base | changes


def judge(*rows):
    return judge_rows(pd.DataFrame(list(rows)))


@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 12))
def test_kept_pairs_of_causal_masks_are_those_of_brute_force(queries, more, window):
    keys = queries + more
    kept = sum(
        1 for q in range(queries) for k in range(keys) if k <= q + more and (window == 0 or k > q + more - window)
    )
    work = count_work(pd.DataFrame([row(causal=1, seq_q=queries, seq_kv=keys, window=window)]))
    assert work["pairs"].tolist() == [kept]


def test_a_backward_pass_does_five_products_where_a_forward_pass_does_two():
    work = count_work(pd.DataFrame([row(), row(**{"pass": "bwd"}), row(**{"pass": "fwdbwd"})]))
    assert (work["flop"] / work["flop"].iloc[0]).tolist() == [1.0, 2.5, 3.5]


def test_a_decode_row_reads_every_key_once():
    one = row(**{"pass": "decode"}, batch=8, heads_kv=2, seq_q=1, seq_kv=1000)
    keys, queries = 8 * 2 * 1000 * 256 * 2, 8 * 16 * 256 * 2
    assert count_work(pd.DataFrame([one]))["bytes"].tolist() == [keys + queries]


def test_a_latent_cache_is_read_once_for_keys_and_values():
    one = row(op="mla", **{"pass": "decode"}, heads_kv=1, head_dim=576, head_dim_v=512, seq_q=1, seq_kv=1000)
    assert count_work(pd.DataFrame([one]))["bytes"].tolist() == [1000 * 576 * 2 + 16 * (576 + 512) * 2]


def test_a_row_faster_than_the_tensor_cores_is_refused_with_the_factor():
    peak = load_gpu("h100_sxm")
    flop = 4 * 16 * 16384**2 * 128
    least = flop / (4096 * 132 * peak.clock_max_hz)
    possible, impossible = judge(row(time_ms=least * 1e3), row(time_ms=least * 1e3 / 2)).why
    assert possible == ""
    assert impossible.startswith("2.00 times faster than the roofline beyond L2 allows")


def test_a_row_that_fits_the_l2_may_beat_dram():
    decode = row(**{"pass": "decode"}, seq_q=1, seq_kv=4096, heads_kv=4, time_ms=1e-3)  # 8.4 MB
    large = decode | {"batch": 64, "time_ms": 0.05}  # 537 MB, which takes 160 us
    assert [bool(why) for why in judge(decode, large).why] == [False, True]


def test_a_flag_of_the_source_is_a_reason_unless_it_only_tells_how():
    why = judge(row(flag="low_entropy_input"), row(flag="l2_resident")).why
    assert why.tolist() == ["flagged by its source: low_entropy_input", ""]


def test_unknown_words_are_told_with_what_is_known():
    why = judge(row(gpu="h1000_sxm"), row(op="sdpq"), row(dtype="bf61"), row(**{"pass": "forward"})).why.tolist()
    assert "h1000_sxm" in why[0]
    assert why[1:3] == ["unknown op 'sdpq'; did you mean 'sdpa'?", "unknown dtype 'bf61'; did you mean 'bf16'?"]
    assert why[3].startswith("unknown pass 'forward'")


def test_labels_of_one_card_share_its_name():
    assert judge(row(), row(gpu="H100-SXM5-80GB")).card.tolist() == ["h100_sxm", "h100_sxm"]


def test_times_in_seconds_under_a_name_in_milliseconds_are_refused_as_a_whole():
    with pytest.raises(SpecError, match="unit of the time column"):
        judge(*[row(time_ms=0.01) for _ in range(5)])


@given(st.sampled_from(["h100_sxm", "b200", "a100_sxm_80", "rtx_4090", "mi300x"]), st.integers(1, 64), st.booleans())
def test_the_least_time_is_never_above_the_roofline(gpu, batch, causal):
    found = judge(row(gpu=gpu, batch=batch, causal=int(causal), time_ms=1e6))
    assert np.all(found.least_s <= found.roofline_s)
