"""A dataclass as the schema of a YAML mapping: its fields are the keys, its types and units say what may stand there.

A field is written under `metadata["key"]`, else under its name; with `metadata["unit"]` it is a quantity of that
kind; a field without a default must be given.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Collection
from typing import Any

from arch_specs.reader import Fields, Node

__all__ = ["key_of", "read_fields", "schema_keys"]


def key_of(field: dataclasses.Field[Any]) -> str:
    """Return the YAML key of a dataclass field."""
    return str(field.metadata.get("key", field.name))


def schema_keys(record: type, without: Collection[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the required and the optional keys of a dataclass; `without` names fields that are read by hand.

    >>> from arch_specs.model import Memory
    >>> schema_keys(Memory, without={"name"})[1][:3]
    ('parent', 'capacity', 'bandwidth')
    """
    fields = [f for f in dataclasses.fields(record) if f.name not in without]
    required = tuple(key_of(f) for f in fields if not _has_default(f))
    return required, tuple(key_of(f) for f in fields if _has_default(f))


def read_fields(
    fields: Fields,
    record: type,
    without: Collection[str] = (),
    number: Callable[[Node, str], Node] = lambda node, name: node,
) -> dict[str, Any]:
    """Return the values of the keys that are there, by field name, ready for `record(**values)`.

    `number` is called with the node and the field name of each number, and returns the node to read it from.
    """
    types_of = typing.get_type_hints(record)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        if field.name in without or (key_of(field) not in fields and _has_default(field)):
            continue
        node, plain = fields[key_of(field)], _without_none(types_of[field.name])
        if "unit" in field.metadata:
            values[field.name] = number(node, field.name).quantity(field.metadata["unit"])
        elif plain in (int, float):
            node = number(node, field.name)
            values[field.name] = node.integer() if plain is int else node.number()
        else:
            values[field.name] = _read(node, plain)
    return values


def _read(node: Node, wanted: Any) -> Any:
    """Read a value that is no number, by its type."""
    if wanted is str:
        return node.text()
    if wanted is bool:
        return node.boolean()
    if typing.get_origin(wanted) is typing.Literal:
        return node.choice(typing.get_args(wanted))
    if wanted == tuple[str, ...]:
        return node.names()
    raise TypeError(f"no YAML form for {wanted}")


def _without_none(hint: Any) -> Any:
    """Return T for `T | None`."""
    if typing.get_origin(hint) not in (types.UnionType, typing.Union):
        return hint
    kept = [t for t in typing.get_args(hint) if t is not type(None)]
    return kept[0] if len(kept) == 1 else hint


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
