"""A mapping and a binding as the YAML text that `mapping_reader` reads back to equal values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Dict
from typing import Any

import yaml

from simulator.mapping import Binding, Buffer, FusionGroup, Knob, Loop, Mapping

__all__ = ["print_mapping"]


def print_mapping(mapping: Mapping, binding: Binding, cascade: str, summary: str) -> str:
    """Return the text of a mapping file for `cascade`, one line an Einsum, a level or a group.

    Reading it back gives the same mapping (its name is the file's) and the same binding. Choices among variants are
    not values of a mapping, so a mapping with `choice` knobs prints as the variant that it is.
    """
    lines = [f"summary: {_flow(summary)}", f"cascade: {_flow(cascade)}"]
    lines += _section("partition", mapping.partition)
    lines += _section("knobs", {k.name: _knob(k) for k in mapping.knobs if k.kind != "choice"})
    if mapping.minimize:
        lines.append(f"minimize: {_flow(list(mapping.minimize))}")
    lines.append("nests:")
    for owner, nest in mapping.nests.items():
        lines.append(f"  {_flow(owner)}:")
        lines += [f"    - {_flow(level.name)}: {_flow([_loop(loop) for loop in level.loops])}" for level in nest]
    parts: dict[str, list[str]] = {}
    for einsum, part in binding.parts.items():
        parts.setdefault(part, []).append(einsum)
    lines += _section("bind", parts)
    lines += _section("cycles_per_point", binding.cycles_per_point)
    keep = {einsum: {m: list(names) for m, names in places.items()} for einsum, places in binding.keep.items()}
    lines += _section("keep", keep)
    lines.append("groups:")
    lines += [f"  - {_flow(_group(group))}" for group in binding.groups]
    lines += _section("buffers", {name: _buffer(buffer) for name, buffer in binding.buffers.items()})
    lines += _section("quirks", dict(_quirks(binding)))
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """Return a value in YAML's flow style, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _section(key: str, entries: Dict[str, Any]) -> Iterator[str]:
    if entries:
        yield f"{key}:"
        yield from (f"  {_flow(name)}: {_flow(value)}" for name, value in entries.items())


def _loop(loop: Loop) -> Any:
    return loop.variable if loop.tile == 1 else {loop.variable: loop.tile}


def _knob(knob: Knob) -> dict[str, Any]:
    if knob.kind == "resident":
        return {"resident": list(knob.options), "memory": knob.memory}
    more = {"values": list(knob.values)} if knob.values else {"multiple_of": knob.multiple_of}
    return {"tile": knob.variable, **more}


def _group(group: FusionGroup) -> dict[str, Any]:
    found: dict[str, Any] = {"iteration": list(group.iteration)}
    if group.phases:
        found["phases"] = [list(phase) for phase in group.phases]
    elif group.einsums:
        found["einsums"] = list(group.einsums)
    return found | _given({"stage": dict(group.stage), "drain": dict(group.drain)})


def _buffer(buffer: Buffer) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if buffer.capacity_bytes is not None:
        found["capacity"] = f"{buffer.capacity_bytes} B"
    found |= _given(
        {
            "shared": [list(region) for region in buffer.shared],
            "depth": dict(buffer.depth),
            "streamed": {tensor: dict(tiles) for tensor, tiles in buffer.streamed.items()},
            "uncounted": list(buffer.uncounted),
            "spills": list(buffer.spills),
        }
    )
    return found if buffer.overflow == "error" else found | {"overflow": buffer.overflow}


def _quirks(binding: Binding) -> Iterator[tuple[str, Any]]:
    if binding.uncharged:
        yield "uncharged", list(binding.uncharged)
    if binding.lost_ranks:
        lost: dict[str, Dict[str, Iterable[str]]] = dict(binding.lost_ranks)
        yield "lost_ranks", {e: {o: list(ranks) for o, ranks in places.items()} for e, places in lost.items()}


def _given(entries: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if value}
