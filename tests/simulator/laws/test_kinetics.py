"""Kinetics: the closed forms against sums over tokens, and the published constants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from einsum_cascades.diagnostics import SpecError
from simulator.laws.kinetics import (
    INTENSITY_DENSE_BF16,
    INTENSITY_PAPER,
    Generation,
    affordable_tokens,
    block_topk_cost,
    break_even_context,
    dense_cost,
    topk_cost,
)
from simulator.library import load_model

# Parameters that the paper's code counts, both embeddings included.
SIZES = {"0_6b": 0.752e9, "1_7b": 2.03e9, "4b": 4.02e9, "8b": 8.19e9, "14b": 14.77e9, "32b": 32.76e9}
MODELS = {name: load_model(f"qwen3_{name}") for name in SIZES}
TASKS = st.builds(Generation, st.integers(0, 300), st.integers(1, 300), st.integers(1, 4))


def test_the_papers_intensity_is_twice_that_of_dense_bf16():
    assert INTENSITY_PAPER == 562.5
    assert round(INTENSITY_DENSE_BF16) == 281


@pytest.mark.parametrize(
    ("name", "at_paper", "at_bf16"),
    [("0_6b", 23, 46), ("1_7b", 63, 125), ("4b", 96, 191), ("8b", 196, 389), ("14b", 318, 630), ("32b", 438, 864)],
)
def test_attention_costs_as_much_as_linear_layers_at_the_published_context(name, at_paper, at_bf16):
    found = [break_even_context(MODELS[name], SIZES[name], i) for i in (INTENSITY_PAPER, INTENSITY_DENSE_BF16)]
    assert [round(x) for x in found] == [at_paper, at_bf16]


@pytest.mark.parametrize(
    ("name", "kv_bytes", "share", "saving"),
    [
        ("0_6b", 114_688, 99.5, 8.2),
        ("1_7b", 114_688, 98.6, 8.0),
        ("4b", 147_456, 97.8, 7.8),
        ("8b", 147_456, 95.7, 7.2),
        ("14b", 163_840, 93.2, 6.6),
        ("32b", 262_144, 90.9, 6.2),
    ],
)
def test_shares_and_savings_follow_from_the_shapes(name, kv_bytes, share, saving):
    model, size = MODELS[name], SIZES[name]
    assert model.kv_bytes_per_token == kv_bytes
    assert 100 * dense_cost(model, size, Generation(256, 8192)).attention_share() == pytest.approx(share, abs=0.05)
    long = Generation(256, 16384)
    found = dense_cost(model, size, long).eflop() / topk_cost(model, size, long, 1024).eflop()
    assert found == pytest.approx(saving, abs=0.06)


def test_a_large_model_affords_most_of_the_tokens_of_a_small_one():
    tokens = [affordable_tokens(MODELS[n], SIZES[n], 256, 4500e12) for n in ("32b", "0_6b")]
    assert tokens[0] / tokens[1] == pytest.approx(0.62, abs=0.01)


@given(TASKS)
def test_dense_cost_is_the_sum_over_tokens(task):
    model = MODELS["8b"]
    wide = model.head_dim * model.layers
    # the integral of C + t: each token sees its own step by half
    attended = sum(task.prompt + t + 0.5 for t in range(task.generated))
    read = sum(task.prompt + task.trials * (t + 0.5) for t in range(task.generated))
    found = dense_cost(model, 8e9, task)
    assert found.attention_flop == pytest.approx(task.trials * attended * 4 * model.heads * wide)
    assert found.kv_bytes == pytest.approx(read * model.kv_heads * wide * 4)
    assert found.linear_flop == task.trials * task.generated * 2 * 8e9


@given(TASKS, st.integers(1, 700))
def test_top_k_reads_no_more_than_the_budget_or_the_context(task, budget):
    model = MODELS["4b"]
    steps = 64
    keys = sum(
        min(budget, task.prompt + (k + 0.5) / steps) / steps for k in range(task.generated * steps)
    )  # the integral by its middles
    found = topk_cost(model, 4e9, task, budget)
    per_key = 4 * model.kv_heads * model.head_dim * model.layers * task.trials
    assert found.kv_bytes == pytest.approx(per_key * keys, rel=1e-4)


@given(TASKS, st.integers(1, 700))
def test_the_sign_slip_only_ever_adds(task, budget):
    model = MODELS["4b"]
    right, slipped = (topk_cost(model, 4e9, task, budget, sign_slip=s) for s in (False, True))
    assert slipped.kv_bytes >= right.kv_bytes
    if budget <= task.prompt:
        assert slipped == right


@given(TASKS, st.integers(1, 300), st.integers(1, 64))
def test_a_budget_for_everything_is_dense_and_a_search_only_adds(task, budget, block):
    model = MODELS["1_7b"]
    one = Generation(task.prompt, task.generated)
    everything = one.prompt + one.generated
    assert topk_cost(model, 2e9, one, everything).kv_bytes == pytest.approx(dense_cost(model, 2e9, one).kv_bytes)
    assert block_topk_cost(model, 2e9, task, budget, block).eflop() >= topk_cost(model, 2e9, task, budget).eflop()


@given(st.integers(0, 4000), st.floats(1e12, 1e17))
def test_one_more_token_would_cost_more_than_there_is(prompt, eflop):
    model = MODELS["8b"]
    tokens = affordable_tokens(model, 8e9, prompt, eflop)
    assert tokens == 0 or dense_cost(model, 8e9, Generation(prompt, tokens)).eflop() <= eflop
    assert dense_cost(model, 8e9, Generation(prompt, tokens + 1)).eflop() > eflop


def test_bad_numbers_are_told_all_at_once():
    with pytest.raises(SpecError) as error:
        Generation(-1, 0, 0)
    assert len(error.value.problems) == 3
    with pytest.raises(SpecError, match="budget of 0 keys"):
        topk_cost(MODELS["8b"], 8e9, Generation(1, 1), 0)
    with pytest.raises(SpecError, match="block of 0 keys"):
        block_topk_cost(MODELS["8b"], 8e9, Generation(1, 1), 1, 0)
