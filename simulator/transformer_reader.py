"""The shape of a transformer from its YAML file, or from the `config.json` that model hubs publish."""

from __future__ import annotations

from pathlib import Path

from arch_specs.reader import Fields, Problems, read_yaml
from arch_specs.schema import read_fields, schema_keys
from einsum_cascades.diagnostics import Source, read_source
from simulator.hf_config import read_config
from simulator.transformer import Experts, Latent, Model

__all__ = ["read_model", "read_model_file"]

_BY_HAND = frozenset({"name", "experts", "latent"})


def read_model_file(path: str | Path) -> Model:
    """Return the model that a YAML file or a hub's `config.json` describes; SpecError with all that is wrong."""
    source, path = read_source(path), Path(path)
    if path.suffix == ".json":
        return read_config(source, path.stem if path.stem != "config" else path.resolve().parent.name or "model")
    return read_model(source, path.stem)


def read_model(source: Source, name: str) -> Model:
    """Return the model that a YAML text describes; SpecError with every problem of the text.

    >>> text = "summary: s\\nsource: made up\\nlayers: 2\\nhidden: 64\\nheads: 4\\nkv_heads: 2\\nhead_dim: 16\\n"
    >>> read_model(Source("small.yaml", text + "ffn: 256\\nvocab: 100"), "small").kv_bytes_per_token
    256.0
    """
    problems = Problems()
    required, optional = schema_keys(Model, {*_BY_HAND, "summary", "source"})
    fields = read_yaml(source, problems).mapping(
        (*required, "summary", "source"), (*optional, "experts", "latent"), f"model '{name}'"
    )
    values = read_fields(fields, Model, _BY_HAND)
    experts = _experts(fields) if "experts" in fields else None
    latent = _latent(fields) if "latent" in fields else None
    model = Model(name=name, **values, experts=experts, latent=latent)
    _check(fields, model)
    problems.finish()
    return model


def _experts(fields: Fields) -> Experts:
    required, optional = schema_keys(Experts)
    inner = fields["experts"].mapping(required, optional, "'experts'")
    values = read_fields(inner, Experts, {"shared", "dense_layers"})
    counts = {key: inner[key].integer(0) for key in ("shared", "dense_layers") if key in inner}
    experts = Experts(**values, **counts)
    if experts.chosen > experts.count:
        inner["chosen"].report(f"a token uses {experts.chosen} of {experts.count} experts")
    return experts


def _latent(fields: Fields) -> Latent:
    required, optional = schema_keys(Latent)
    return Latent(**read_fields(fields["latent"].mapping(required, optional, "'latent'"), Latent))


def _check(fields: Fields, model: Model) -> None:
    if model.heads % model.kv_heads:
        fields["kv_heads"].report(f"{model.heads} query heads do not divide among {model.kv_heads} KV heads")
    if model.windowed and model.window is None:
        fields["windowed"].report("layers have a window, but 'window' is not given")
    if model.windowed > model.layers:
        fields["windowed"].report(f"{model.windowed} of {model.layers} layers have a window")
    if model.experts and model.experts.dense_layers > model.layers:
        fields["experts"].report(f"{model.experts.dense_layers} of {model.layers} layers are dense")
