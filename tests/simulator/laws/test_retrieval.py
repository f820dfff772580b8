"""RetrievalAttention's cost law: its bounds are first principles, its constant is solved and said to be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from einsum_cascades.diagnostics import SpecError
from simulator.laws.retrieval import (
    DecodeDevice,
    HostIndex,
    exact_host_step,
    retrieval_step,
    solve_key_time,
    stream_step,
)
from simulator.library import load_model

MODEL = load_model("llama3_8b")
RTX4090 = DecodeDevice(1.008e12)
CONTEXT = 131_072
WEIGHTS_S = MODEL.weight_bytes / (1.008e12 * 0.85)


def test_weights_take_19_ms():
    assert pytest.approx(0.019, abs=5e-4) == WEIGHTS_S


def test_streaming_the_cache_takes_0_69_s():
    assert stream_step(MODEL, RTX4090, 25e9, CONTEXT) == pytest.approx(0.69, abs=0.005)


def test_an_exact_host_takes_0_29_s_beside_the_weights():
    assert exact_host_step(MODEL, RTX4090, 60e9, CONTEXT) - WEIGHTS_S == pytest.approx(0.29, abs=0.005)


@pytest.mark.parametrize(("scanned", "key_ns"), [(0.01, 126), (0.02, 63), (0.03, 42)])
def test_the_key_time_that_explains_the_published_step(scanned, key_ns):
    solved = solve_key_time(MODEL, RTX4090, scanned, CONTEXT, 0.188)
    assert solved * 1e9 == pytest.approx(key_ns, rel=0.02)
    assert retrieval_step(MODEL, RTX4090, HostIndex(scanned, solved), CONTEXT) == pytest.approx(0.188)


@given(st.integers(1, 1 << 22), st.floats(0, 0.3), st.floats(0, 1e-6), st.integers(0, 4096))
def test_a_step_is_never_shorter_than_the_weights_and_grows_with_the_context(context, scanned, key_s, window):
    index = HostIndex(scanned, key_s)
    step = retrieval_step(MODEL, RTX4090, index, context, window)
    assert step >= WEIGHTS_S
    assert retrieval_step(MODEL, RTX4090, index, 2 * context, window) >= step


def test_the_gain_over_an_exact_host_widens_with_the_context():
    index = HostIndex(0.02, 63e-9)
    gains = [
        exact_host_step(MODEL, RTX4090, 60e9, n) / retrieval_step(MODEL, RTX4090, index, n)
        for n in (1 << 15, 1 << 17, 1 << 20)
    ]
    assert gains == sorted(gains)
    assert gains[1] == pytest.approx(1.6, abs=0.05)


def test_bad_numbers_are_told():
    with pytest.raises(SpecError) as error:
        HostIndex(1.5, -1)
    assert len(error.value.problems) == 2
    with pytest.raises(SpecError, match="weights alone"):
        solve_key_time(MODEL, RTX4090, 0.02, CONTEXT, 0.001)
