"""The shape of a transformer from the `config.json` of a model hub.

Keys are those of the Hugging Face `transformers` configurations of Llama, Qwen, Mistral, Mixtral, DeepSeek and gpt-oss;
keys that say nothing of the shape are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from arch_specs.reader import Node, Problems, read_yaml
from einsum_cascades.diagnostics import Source
from simulator.transformer import Experts, Latent, Model

__all__ = ["read_config"]

_BITS = {"float32": 32, "bfloat16": 16, "float16": 16, "float8_e4m3fn": 8, "int8": 8}
# Bits of an element with its share of the block's scale.
_QUANTIZED = {"fp8": 8.0, "mxfp4": 4.25, "awq": 4.25, "gptq": 4.25}


def read_config(source: Source, name: str) -> Model:
    """Return the model that a `config.json` describes; SpecError with every problem of the file.

    >>> text = '{"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 256, '
    >>> read_config(Source("config.json", text + '"vocab_size": 100}'), "small").head_dim
    16
    """
    problems = Problems()
    # JSON is YAML, but for tabs between its values.
    root = read_yaml(replace(source, text=source.text.replace("\t", " ")), problems)
    keys = _Keys.of(root)
    layers, hidden = keys.need("num_hidden_layers"), keys.need("hidden_size")
    heads = keys.need("num_attention_heads")
    kv_heads = keys.count("num_key_value_heads") or heads
    latent = _latent(keys)
    experts = _experts(keys)
    window, windowed = _windows(keys, layers)
    weight, expert = _bits(keys)
    # A model whose layers are all routed may state an expert's extent alone.
    ffn = (keys.count("intermediate_size") if experts else keys.need("intermediate_size")) or experts_ffn(experts)
    head_dim = keys.count("qk_nope_head_dim") if latent else keys.count("head_dim")
    if not head_dim and hidden % heads:
        root.report(f"'hidden_size' {hidden} does not divide among {heads} heads, and 'head_dim' is not given")
    if heads % kv_heads:
        root.report(f"{heads} query heads do not divide among {kv_heads} KV heads")
    model = Model(
        name=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim or hidden // heads,
        ffn=ffn,
        vocab=keys.need("vocab_size"),
        value_dim=keys.count("v_head_dim") if latent else None,
        tied=keys.flag("tie_word_embeddings"),
        window=window,
        windowed=windowed,
        weight_bits=weight,
        experts=replace(experts, weight_bits=expert) if experts and expert else experts,
        latent=latent,
        summary=f"from {source.name}",
        source=source.name,
    )
    problems.finish()
    return model


def experts_ffn(experts: Experts | None) -> int:
    """Return the inner extent of an expert; 1 where there is none, after the missing key has been reported."""
    return experts.ffn if experts else 1


@dataclass(frozen=True)
class _Keys:
    """The values of a configuration by key, with those of its `text_config` where it describes several modalities."""

    root: Node
    values: dict[str, Node]

    @classmethod
    def of(cls, root: Node) -> _Keys:
        values = {key.key: value for key, value in root.entries()}
        inner = values.get("text_config")
        return cls(root, values | dict(_Keys.of(inner).values) if inner and inner.form == "mapping" else values)

    def there(self, key: str) -> bool:
        return key in self.values and self.values[key].form != "nothing"

    def need(self, key: str) -> int:
        if not self.there(key):
            self.root.report(f"the configuration lacks the key '{key}'")
            return 1
        return self.values[key].integer()

    def count(self, *keys: str) -> int | None:
        """Return the first of these keys that is there and not zero."""
        found = [self.values[key].integer(0) for key in keys if self.there(key)]
        return next((n for n in found if n), None)

    def flag(self, key: str) -> bool:
        return self.there(key) and self.values[key].boolean()


def _latent(keys: _Keys) -> Latent | None:
    rank = keys.count("kv_lora_rank")
    return Latent(rank, keys.need("qk_rope_head_dim"), keys.count("q_lora_rank")) if rank else None


def _experts(keys: _Keys) -> Experts | None:
    count = keys.count("n_routed_experts", "num_experts", "num_local_experts")
    if not count:
        return None
    chosen = keys.count("num_experts_per_tok", "experts_per_token") or keys.need("num_experts_per_tok")
    ffn = keys.count("moe_intermediate_size") or keys.need("intermediate_size")
    if chosen > count:
        keys.root.report(f"a token uses {chosen} of {count} experts")
    dense = keys.count("first_k_dense_replace") or 0
    return Experts(count, chosen, ffn, keys.count("n_shared_experts") or 0, dense)


def _windows(keys: _Keys, layers: int) -> tuple[int | None, int]:
    """Return the window and the number of layers that have it."""
    window = keys.count("sliding_window")
    if window is None or (keys.there("use_sliding_window") and not keys.flag("use_sliding_window")):
        return None, 0
    if keys.there("layer_types"):
        return window, sum(item.text() == "sliding_attention" for item in keys.values["layer_types"].items())
    return window, layers


def _bits(keys: _Keys) -> tuple[float, float | None]:
    """Return the bits of a weight, and those of an expert's where they differ."""
    own = next((keys.values[key] for key in ("dtype", "torch_dtype") if keys.there(key)), None)
    bits = _BITS[own.choice(_BITS, "a type of weights")] if own is not None else 16
    if not keys.there("quantization_config"):
        return bits, None
    inner = {key.key: value for key, value in keys.values["quantization_config"].entries()}
    method = inner.get("quant_method")
    if method is None:
        keys.values["quantization_config"].report("'quantization_config' lacks the key 'quant_method'")
        return bits, None
    quantized = _QUANTIZED[method.choice(_QUANTIZED, "a way of quantization")]
    # Four-bit microscaling is for the experts alone; the other ways are for every matrix.
    return (bits, quantized) if method.text() == "mxfp4" else (quantized, None)
