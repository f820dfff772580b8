"""JSON Schema of the hardware files, made from the types that read them, so that editors complete and check.

The schema says which keys there are, what each holds and in which units; what a schema cannot say (a parent that is
there, a source for each number) `attnsim check` says.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Collection
from typing import Any

from arch_specs.clusters import Device, Efficiency, Link, Pool, Wire
from arch_specs.gpu import DTYPES, GEMM_MODES, PATHS, Gpu
from arch_specs.model import Architecture, Compute, Memory, Operation
from arch_specs.reader import SCHEMA_VERSION
from arch_specs.schema import key_of, schema_keys
from arch_specs.units import KINDS

__all__ = ["SCHEMAS", "json_schema"]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string"}


def json_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of a kind of hardware file, a key of `SCHEMAS`.

    >>> json_schema("spatial")["required"]
    ['name', 'clock', 'parts']
    """
    schema = SCHEMAS[kind]()
    schema["properties"]["schema"] = {"type": "string", "pattern": rf"^attnsim/[a-z_]+@{SCHEMA_VERSION}$"}
    return {"$schema": _DRAFT, "title": f"attnsim {kind} file", **schema}


def _spatial() -> dict[str, Any]:
    whole = _record(Architecture, without={"parts", "sources", "uncertain"})
    memory = _record(Memory, without={"name"}, extra={"kind": {"const": "memory"}})
    operation = _record(Operation, without={"name", "expands"})
    operation["properties"]["as"] = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
    compute = _record(Compute, without={"name", "ops"}, extra={"kind": {"const": "compute"}})
    compute["properties"]["ops"] = {
        "type": "object",
        "additionalProperties": {"anyOf": [_quantity("cycles"), operation]},
    }
    for part in (memory, compute):
        part["required"].append("kind")
    whole["properties"]["parts"] = {"type": "object", "additionalProperties": {"oneOf": [memory, compute]}}
    whole["properties"]["kind"] = {"const": "spatial"}
    whole["required"].append("parts")
    return whole


def _gpu() -> dict[str, Any]:
    tables = {"mma_flop_per_clk", "gemm_ceiling"}
    whole = _record(Gpu, without={*tables, "sources", "uncertain"}, extra={"kind": {"const": "gpu"}})
    rate = _sourced(_quantity("flop_per_clk"))
    paths = {"type": "object", "properties": dict.fromkeys(PATHS, rate), "additionalProperties": False}
    share = _sourced({"type": "number", "exclusiveMinimum": 0, "maximum": 1})
    whole["properties"] |= {
        "mma_flop_per_clk": _closed(dict.fromkeys(DTYPES, paths)),
        "gemm_ceiling": _closed(dict.fromkeys(GEMM_MODES, share)),
    }
    whole["required"] += ["kind", "mma_flop_per_clk"]
    return whole


def _device() -> dict[str, Any]:
    whole = _record(Device, without={"name", "price"}, extra={"kind": {"const": "device"}})
    whole["required"] += ["kind", "summary", "source"]
    return whole


def _cluster() -> dict[str, Any]:
    efficiency, inside = _record(Efficiency), _record(Wire)
    link = _record(Link, without={"name", "between"})
    link["properties"]["between"] = {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2}
    link["required"].append("between")
    price = _closed({"value": _quantity("usd_per_h"), "date": _TEXT, "source": _TEXT})
    pool = _record(Pool, without={"name", "device", "efficiency", "price", "inside"})
    pool["properties"] |= {
        "device": _TEXT,
        "count": {"type": "integer", "minimum": 1},
        "nics_per_device": {"type": "number", "exclusiveMinimum": 0},
        "efficiency": efficiency,
        "inside": inside,
        "price": {**price, "required": ["value", "date", "source"]},
    }
    pool["required"] += ["device", "efficiency"]
    named = {
        name: {"type": "object", "additionalProperties": part} for name, part in (("pools", pool), ("links", link))
    }
    texts = dict.fromkeys(("name", "summary", "source"), _TEXT)
    return {**_closed({"kind": {"const": "cluster"}, **texts, **named}), "required": ["kind", "pools"]}


SCHEMAS: dict[str, typing.Callable[[], dict[str, Any]]] = {
    "spatial": _spatial,
    "gpu": _gpu,
    "device": _device,
    "cluster": _cluster,
}


def _record(record: type, without: Collection[str] = (), extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of a mapping that is read into a dataclass."""
    hints = typing.get_type_hints(record)
    fields = [f for f in dataclasses.fields(record) if f.name not in without]
    properties = {key_of(f): _of_field(f, hints[f.name]) for f in fields}
    schema = _closed({**(extra or {}), **properties, "source": _TEXT})
    return {**schema, "required": list(schema_keys(record, without=without)[0])}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _of_field(field: dataclasses.Field[Any], hint: Any) -> dict[str, Any]:
    if "unit" in field.metadata:
        return _sourced(_quantity(field.metadata["unit"]))
    kept = [t for t in typing.get_args(hint) if t is not type(None)]
    plain = kept[0] if isinstance(hint, types.UnionType) and len(kept) == 1 else hint
    if plain in (int, float):
        return _sourced({"type": "integer", "minimum": 1} if plain is int else {"type": "number"})
    if plain is bool:
        return {"type": "boolean"}
    if typing.get_origin(plain) is typing.Literal:
        return {"enum": list(typing.get_args(plain))}
    if plain == tuple[str, ...]:
        return {"type": "array", "items": _TEXT}
    return _TEXT


def _quantity(kind: str) -> dict[str, Any]:
    """Return the schema of a number with a unit."""
    measured = KINDS[kind]
    units = "|".join(re.escape(unit) for unit in sorted(measured.units, key=lambda u: (-len(u), u)))
    pattern = rf"^\s*\+?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*({units})\s*$"
    return {"type": "string", "description": measured.noun, "examples": [measured.example], "pattern": pattern}


def _sourced(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a number that may stand alone or with its source."""
    long = _closed({"value": plain, "source": _TEXT, "uncertain": {"type": "boolean"}})
    return {"anyOf": [plain, {**long, "required": ["value"]}]}
