"""Model shapes: parameters, weights and KV bytes against published figures and against one matrix at a time."""

import json
from pathlib import Path

import pytest

from einsum_cascades.diagnostics import Source, SpecError
from einsum_cascades.registry import entries
from simulator.library import load_model
from simulator.transformer_reader import read_model, read_model_file

# Parameters in 1e9, in all and active, as the model's own report or card states them.
PUBLISHED = {
    "llama_33b": (32.5, 32.5, 0.01),
    "llama_65b": (65.2, 65.2, 0.01),
    "llama3_8b": (8.03, 8.03, 0.07),
    "llama3_70b": (70.6, 70.6, 0.02),
    "qwen3_0_6b": (0.596, 0.596, 0.01),
    "qwen3_1_7b": (1.72, 1.72, 0.01),
    "qwen3_4b": (4.02, 4.02, 0.01),
    "qwen3_8b": (8.19, 8.19, 0.08),
    "qwen3_14b": (14.77, 14.77, 0.06),
    "qwen3_32b": (32.76, 32.76, 0.03),
    "deepseek_v3": (671.0, 37.0, 0.02),
    "gpt_oss_120b": (116.8, 5.1, 0.02),
    "gpt_oss_20b": (20.9, 3.6, 0.02),
}

SMALL = (
    "summary: s\nsource: made up\nlayers: 2\nhidden: 64\nheads: 4\nkv_heads: 2\nhead_dim: 16\nffn: 256\nvocab: 100\n"
)


@pytest.mark.parametrize("entry", entries("models"), ids=lambda entry: entry.name)
def test_every_shipped_model_has_its_published_parameters(entry):
    model = load_model(entry.path)
    every, active, tolerance = PUBLISHED[model.name]
    assert model.parameters / 1e9 == pytest.approx(every, rel=0.006)
    assert model.active_parameters / 1e9 == pytest.approx(active, rel=tolerance)
    assert model.summary and model.source


def test_the_table_of_published_parameters_has_no_strangers():
    assert set(PUBLISHED) == {entry.name for entry in entries("models")}


@pytest.mark.parametrize(
    ("name", "kv"),
    [
        ("llama_33b", 1_597_440),
        ("llama_65b", 2_621_440),
        ("llama3_70b", 327_680),
        ("qwen3_0_6b", 114_688),
        ("qwen3_4b", 147_456),
        ("qwen3_14b", 163_840),
        ("qwen3_32b", 262_144),
        ("deepseek_v3", 61 * 576 * 2),
    ],
)
def test_kv_bytes_per_token_are_the_published_ones(name, kv):
    assert load_model(name).kv_bytes_per_token == kv


def test_parameters_are_those_of_the_matrices_one_by_one():
    model = load_model("llama3_8b")
    matrices = [(4096, 4096), (4096, 1024), (4096, 1024), (4096, 4096), *[(4096, 14336)] * 3] * 32
    matrices += [(128256, 4096)] * 2
    assert model.parameters == sum(a * b for a, b in matrices)
    assert model.weight_bytes == 2 * model.parameters
    assert model.parameters - model.dense_parameters == 128256 * 4096


def test_latent_attention_reads_one_vector_for_all_heads():
    model = load_model("deepseek_v3")
    assert (model.query_elements, model.output_elements) == (128 * 576, 128 * 512)
    assert model.attention_flop_per_token_layer == 2 * 128 * (576 + 512)


def test_a_windowed_layer_keeps_no_more_than_its_window():
    model = load_model("gpt_oss_120b")
    assert model.kv_bytes(100) == 100 * model.kv_bytes_per_token
    assert model.kv_bytes(10_000) == (10_000 + 128) / 2 * model.kv_bytes_per_token


def test_weights_given_as_one_number_stand_for_the_computed_ones():
    model = read_model(Source("s.yaml", SMALL + "weights: 2 MB\n"), "s")
    assert (model.weight_bytes, model.parameters) == (2_000_000, 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 256) + 12800)


def test_every_problem_of_a_model_is_told_at_once():
    text = (
        SMALL.replace("kv_heads: 2", "kv_heads: 3").replace("vocab", "vocb")
        + "experts: {count: 4, chosen: 8, ffn: 9}\n"
    )
    with pytest.raises(SpecError) as error:
        read_model(Source("bad.yaml", text), "bad")
    assert str(error.value) == (
        "bad.yaml:6:11: 4 query heads do not divide among 3 KV heads\n    kv_heads: 3\n              ^\n"
        "bad.yaml:9:1: unknown key 'vocb' in model 'bad'\n    vocb: 100\n    ^^^^\n    did you mean 'vocab'?\n"
        "bad.yaml:10:29: a token uses 8 of 4 experts\n    experts: {count: 4, chosen: 8, ffn: 9}\n"
        "                                ^"
    )


LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_attention_heads": 64,
    "num_hidden_layers": 80,
    "num_key_value_heads": 8,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 128256,
}
DEEPSEEK = {
    "first_k_dense_replace": 3,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "kv_lora_rank": 512,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_attention_heads": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    "torch_dtype": "bfloat16",
    "v_head_dim": 128,
    "vocab_size": 129280,
}
GPT_OSS = {
    "head_dim": 64,
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
    "num_attention_heads": 64,
    "num_experts_per_tok": 4,
    "num_hidden_layers": 36,
    "num_key_value_heads": 8,
    "num_local_experts": 128,
    "quantization_config": {"quant_method": "mxfp4"},
    "sliding_window": 128,
    "vocab_size": 201088,
}


@pytest.mark.parametrize(
    ("config", "name"), [(LLAMA, "llama3_70b"), (DEEPSEEK, "deepseek_v3"), (GPT_OSS, "gpt_oss_120b")]
)
@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_a_hubs_configuration_gives_the_shipped_model(tmp_path: Path, config, name, indent):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config, indent=indent))
    found, shipped = read_model_file(path), load_model(name)
    for figure in ("parameters", "active_parameters", "weight_bytes", "kv_bytes_per_token", "query_elements"):
        assert getattr(found, figure) == getattr(shipped, figure), figure
    assert found.kv_bytes(1000) == shipped.kv_bytes(1000)
    assert found.name == tmp_path.name


def test_a_configuration_of_several_modalities_is_read_for_its_text(tmp_path: Path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"text_config": LLAMA, "vision_config": {"hidden_size": 1}}))
    model = read_model_file(path)
    assert (model.name, model.parameters) == ("mine", load_model("llama3_70b").parameters)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab_size": None}, "the configuration lacks the key 'vocab_size'"),
        ({"num_key_value_heads": 7}, "64 query heads do not divide among 7 KV heads"),
        ({"hidden_size": -8192}, "'hidden_size' is -8192, but must be at least 1"),
        ({"torch_dtype": "bfloat61"}, "'torch_dtype' is a type of weights, found 'bfloat61'"),
        ({"quantization_config": {"quant_method": "magic"}}, "'quant_method' is a way of quantization, found 'magic'"),
        ({"num_experts": 4, "num_experts_per_tok": 8}, "a token uses 8 of 4 experts"),
    ],
)
def test_a_wrong_configuration_is_told_with_its_place(tmp_path: Path, change, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text(json.dumps(LLAMA | change, indent=2))
    with pytest.raises(SpecError) as error:
        read_model_file("config.json")
    assert message in str(error.value)
    assert str(error.value).startswith("config.json:")
