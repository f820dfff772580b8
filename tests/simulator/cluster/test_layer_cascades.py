"""The Einsums of a layer are those of the library's cascades: operations and words, by the analysis of the language."""

from math import prod

import pytest

from einsum_cascades.analysis import analyze
from simulator.library import load_cascade
from simulator.targets.cluster.layer import average_layer
from simulator.workload import Workload
from tests.simulator.cluster.designs import load_model


def counts(name, **extents):
    """Operations of products by Einsum (a multiply and an add for each), and words by tensor."""
    workload = Workload.of(load_cascade(name), **extents)
    found = analyze(workload.cascade, dict(workload.given)).to_json()["operations"]
    products = {einsum: ops["mul"] + ops["acc"] for einsum, ops in found.items() if {"mul", "acc"} <= set(ops)}
    known = dict(workload.given)
    words = {t.name: prod(known[r] for r in t.ranks) for t in workload.cascade.tensors if known.keys() >= set(t.ranks)}
    return products, words


@pytest.mark.parametrize("name", ["llama_33b", "llama3_70b", "qwen3_32b"])
@pytest.mark.parametrize(("batch", "context"), [(1, 256), (7, 4096)])
def test_attention_is_grouped_query_attention_of_one_query(name, batch, context):
    model = load_model(name)
    layer = average_layer(model)
    shape = {"H": model.kv_heads, "G": model.group, "E": model.head_dim, "F": model.values}
    products, words = counts("attention_gqa", B=batch, P=1, M=context, M0=64, **shape)
    assert products["QK"] + products["SLNV"] == layer.kv_token_flop * context * batch
    assert 2 * words["Q"] == layer.token_bytes["q"] * batch
    assert 2 * (words["K"] + words["V"]) == layer.token_bytes["kv"] * context * batch
    assert 2 * words["AV"] == layer.token_bytes["a"] * batch


def test_latent_attention_is_that_of_the_absorbed_cascade():
    model = load_model("deepseek_v3")
    layer, latent = average_layer(model), model.latent
    shape = {"H": model.heads, "E": model.head_dim, "R": latent.rope, "D": latent.rank, "F": model.values}
    products, words = counts("attention_mla", B=3, P=1, M=512, **shape)
    assert products["SC"] + products["SR"] + products["AC"] == layer.kv_token_flop * 512 * 3
    assert 2 * (words["C"] + words["KR"]) == layer.token_bytes["kv"] * 512 * 3
    assert 2 * (words["QA"] + words["QR"]) == layer.token_bytes["q"] * 3
    assert 2 * words["AC"] == layer.token_bytes["a"] * 3
    absorbed = products["QA"] + products["O"]
    down = model.hidden * (latent.rank + latent.rope)
    assert absorbed == 2 * (layer.parameters["KV"] - down) * 3


@pytest.mark.parametrize("name", ["llama_65b", "qwen3_8b"])
def test_projections_are_matrix_products(name):
    model = load_model(name)
    layer = average_layer(model)
    inner, outer = model.hidden, model.heads * model.head_dim
    for einsum, k, n in (
        ("Q", inner, outer),
        ("KV", inner, 2 * model.kv_heads * model.head_dim),
        ("O", outer, inner),
    ):
        products, words = counts("linear", T=5, K=k, N=n)
        assert products["Z"] == 2 * layer.parameters[einsum] * 5
        assert words["W"] == layer.parameters[einsum]
    products, _ = counts("linear", T=5, K=inner, N=3 * model.ffn)
    head, _ = counts("linear", T=5, K=inner, N=model.vocab)
    assert products["Z"] + head["Z"] / model.layers == pytest.approx(2 * layer.parameters["F"] * 5)
