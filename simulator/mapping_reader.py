"""A mapping and a binding from their YAML file; `like` starts from another mapping, `variants` from options of a knob.

    like: fusemax_binding            everything of that mapping, with the keys below merged over it
    knobs: {stationary: {choice: [output, weight]}}
    variants: {stationary: {output: {nests: ...}, weight: {nests: ...}}}

Merging goes down through mappings; any other value replaces the one below it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from arch_specs.reader import Fields, Node, Problems, read_yaml
from einsum_cascades.diagnostics import Source, SpecError, read_source
from simulator.mapping import Binding, Buffer, FusionGroup, Knob, Level, Loop, Nest, Tile
from simulator.mapping import Mapping as LoopMapping

__all__ = ["Template", "each_option", "read_mapping", "read_mapping_file"]

_OPTIONAL = ("partition", "knobs", "minimize", "buffers", "cycles_per_point", "quirks", "variants", "like", "source")
_REQUIRED = ("summary", "cascade", "nests", "bind", "groups")
_OBJECTIVES = ("latency_s", "traffic_bytes", "buffer_bytes")
Locate = Callable[[str], Path]


@dataclass(frozen=True)
class Template:
    """A mapping file: what it maps, its knobs, and the text from which each choice of variants is read."""

    name: str
    summary: str
    cascade: str
    knobs: tuple[Knob, ...]
    root: Node

    @property
    def einsums(self) -> tuple[str, ...]:
        """The Einsums that the mapping binds to parts."""
        return tuple(self.select({})[1].parts)

    def select(self, choices: Mapping[str, str]) -> tuple[LoopMapping, Binding]:
        """Return the mapping and the binding with the given option of every `choice` knob.

        Raises SpecError when the merged text is wrong.
        """
        problems = Problems()
        chosen = self._read(choices, problems)
        problems.finish()
        return chosen

    def _read(self, choices: Mapping[str, str], problems: Problems) -> tuple[LoopMapping, Binding]:
        root = replace(self.root, problems=problems)
        variants = _fields(root)["variants"].raw
        merged = root.raw
        for knob, option in choices.items():
            variant = _lookup(_lookup(variants, knob), option)
            merged = _merge(merged, variant) if variant is not None else merged
        fields = _fields(replace(root, raw=merged))
        return _read_mapping(self.name, fields, self.knobs), _read_binding(fields)


def read_mapping_file(path: str | Path, locate: Locate | None = None) -> Template:
    """Return the template of a mapping file; SpecError with every problem, those of all its variants included.

    `locate` finds the file of a mapping that `like` names; without it the shipped library is searched.
    """
    return read_mapping(read_source(path), Path(path).stem, locate)


def read_mapping(source: Source, name: str, locate: Locate | None = None) -> Template:
    """Return the template that a YAML text describes; SpecError with every problem of the text."""
    problems = Problems()
    root = _inherit(read_yaml(source, problems), problems, locate or _shipped, (name,))
    problems.finish()
    fields = _fields(root)
    knobs = tuple(_read_knob(key, value) for key, value in _entries(fields, "knobs"))
    template = Template(name, fields["summary"].text(), fields["cascade"].text(), knobs, root)
    _check_variants(fields, knobs)
    for choices in each_option(knobs):
        template._read(choices, problems)
    problems.finish()
    return template


def _shipped(name: str) -> Path:
    return Path(__file__).parent / "mappings" / f"{name}.yaml"


def _inherit(root: Node, problems: Problems, locate: Locate, seen: tuple[str, ...]) -> Node:
    """Return a root merged over the mapping that its `like` names, and so on down."""
    parent = next((value for key, value in root.entries() if key.key == "like"), None)
    if parent is None:
        return root
    name = parent.text()
    if name in seen:
        parent.report(f"'like' goes around in a circle: {' -> '.join((*seen, name))}")
        return root
    try:
        source = read_source(locate(name))
        below = _inherit(read_yaml(source, problems), problems, locate, (*seen, name))
    except SpecError as error:
        problems.extend(error, parent.span)
        return root
    return replace(root, raw=_merge(below.raw, root.raw))


def _merge(below: yaml.Node | None, above: yaml.Node | None) -> yaml.Node | None:
    """Return `above` laid over `below`: mappings merge key by key, anything else replaces."""
    if not isinstance(below, yaml.MappingNode) or not isinstance(above, yaml.MappingNode):
        return above
    over = {key.value: (key, value) for key, value in above.value}
    pairs = [
        (over[key.value][0], _merge(value, over[key.value][1])) if key.value in over else (key, value)
        for key, value in below.value
    ]
    known = {key.value for key, _ in below.value}
    pairs += [pair for name, pair in over.items() if name not in known]
    return yaml.MappingNode(above.tag, pairs, above.start_mark, above.end_mark, above.flow_style)


def _lookup(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _fields(root: Node) -> Fields:
    return root.mapping((*_REQUIRED, "keep"), _OPTIONAL, "a mapping")


def _entries(fields: Fields, key: str) -> tuple[tuple[Node, Node], ...]:
    return fields[key].entries() if key in fields else ()


def each_option(knobs: tuple[Knob, ...]) -> list[dict[str, str]]:
    """Return every combination of the options of the `choice` knobs."""
    chosen = [k for k in knobs if k.kind == "choice"]
    return [
        dict(zip((k.name for k in chosen), options, strict=True))
        for options in itertools.product(*(k.options for k in chosen))
    ]


def _check_variants(fields: Fields, knobs: tuple[Knob, ...]) -> None:
    options = {k.name: k.options for k in knobs if k.kind == "choice"}
    for key, value in _entries(fields, "variants"):
        if key.key not in options:
            key.report(f"'{key.key}' is no knob with a 'choice'")
            continue
        for option, changes in value.entries():
            if option.key not in options[key.key]:
                option.report(f"'{option.key}' is no option of knob '{key.key}'")
            changes.mapping((), ("nests", "bind", "keep", "groups", "buffers", "cycles_per_point"), "a variant")


def _read_knob(key: Node, node: Node) -> Knob:
    kinds = ("tile", "choice", "resident")
    fields = node.mapping((), (*kinds, "multiple_of", "values", "memory"), f"knob '{key.key}'")
    given = [kind for kind in kinds if kind in fields]
    if len(given) != 1:
        node.report(f"knob '{key.key}' needs one of {', '.join(repr(k) for k in kinds)}")
        return Knob(key.key, "choice")
    if given[0] == "tile":
        values = tuple(_read_tile(v) for v in fields["values"].items()) if "values" in fields else ()
        multiple = _read_tile(fields["multiple_of"]) if "multiple_of" in fields else 1
        return Knob(key.key, "tile", fields["tile"].text(), multiple, values)
    if given[0] == "resident" and "memory" not in fields:
        node.report(f"knob '{key.key}' lacks the key 'memory'")
    memory = fields["memory"].text() if "memory" in fields else None
    return Knob(key.key, given[0], options=fields[given[0]].names(), memory=memory)


def _read_tile(node: Node) -> Tile:
    """Read a number of coordinates, or the name of a knob, an extent, or a number of the machine."""
    return node.integer() if node.form == "integer" else node.text()


def _read_loop(node: Node) -> Loop:
    """Read `m1`, or `{p: queries}` with the tile that each step hands inward."""
    if node.form != "mapping":
        return Loop(node.text())
    pairs = node.entries()
    if len(pairs) != 1:
        node.report("a loop is a rank variable, or one rank variable with its tile", "write e.g. '{p: 256}'")
        return Loop("?")
    return Loop(pairs[0][0].key, _read_tile(pairs[0][1]))


def _read_nest(node: Node) -> Nest:
    levels = []
    for level in node.items():
        pairs = level.entries()
        if len(pairs) != 1:
            level.report("a level is one memory, or 'spatial', with its loops", "write e.g. '- L3: [p, e]'")
            continue
        name, loops = pairs[0][0].key, tuple(_read_loop(loop) for loop in pairs[0][1].items())
        levels.append(Level(name, loops, spatial=name == "spatial"))
    return tuple(levels)


def _read_mapping(name: str, fields: Fields, knobs: tuple[Knob, ...]) -> LoopMapping:
    minimize = fields["minimize"].items() if "minimize" in fields else ()
    return LoopMapping(
        name,
        nests={key.key: _read_nest(value) for key, value in _entries(fields, "nests")},
        partition={key.key: _read_tile(value) for key, value in _entries(fields, "partition")},
        knobs=knobs,
        minimize=tuple(node.choice(_OBJECTIVES, "an objective") for node in minimize),
    )


def _read_binding(fields: Fields) -> Binding:
    parts: dict[str, str] = {}
    for part, einsums in _entries(fields, "bind"):
        for einsum in einsums.items():
            if einsum.text() in parts:
                einsum.report(f"{einsum.text()} is bound to {parts[einsum.text()]} already")
            parts[einsum.text()] = part.key
    keep = {
        einsum.key: {memory.key: kept for memory, names in value.entries() if (kept := names.names())}
        for einsum, value in _entries(fields, "keep")
    }
    cycles = {key.key: value.integer() for key, value in _entries(fields, "cycles_per_point")}
    groups = tuple(_read_group(node) for node in fields["groups"].items())
    buffers = {key.key: _read_buffer(key, value) for key, value in _entries(fields, "buffers")}
    quirks = fields["quirks"].mapping((), ("uncharged", "lost_ranks"), "'quirks'") if "quirks" in fields else None
    return Binding(
        parts,
        keep,
        groups,
        buffers,
        cycles,
        uncharged=quirks["uncharged"].names() if quirks and "uncharged" in quirks else (),
        lost_ranks=_read_lost_ranks(quirks) if quirks else {},
    )


def _read_lost_ranks(quirks: Fields) -> dict[str, dict[str, tuple[str, ...]]]:
    return {
        einsum.key: {operand.key: ranks.names() for operand, ranks in value.entries()}
        for einsum, value in _entries(quirks, "lost_ranks")
    }


def _read_group(node: Node) -> FusionGroup:
    fields = node.mapping(("iteration",), ("einsums", "phases", "stage", "drain"), "a group")
    if "einsums" in fields and "phases" in fields:
        fields["einsums"].report("a group has 'einsums' or 'phases', not both")
    return FusionGroup(
        iteration=fields["iteration"].names(),
        einsums=fields["einsums"].names() if "einsums" in fields else (),
        phases=tuple(phase.names() for phase in fields["phases"].items()) if "phases" in fields else (),
        stage={key.key: value.integer(minimum=0) for key, value in _entries(fields, "stage")},
        drain={key.key: _read_tile(value) for key, value in _entries(fields, "drain")},
    )


def _read_buffer(key: Node, node: Node) -> Buffer:
    optional = ("capacity", "shared", "depth", "streamed", "uncounted", "overflow", "spills")
    fields = node.mapping((), optional, f"buffer '{key.key}'")
    streamed = {
        tensor.key: {rank.key: _read_tile(tile) for rank, tile in tiles.entries()}
        for tensor, tiles in _entries(fields, "streamed")
    }
    return Buffer(
        capacity_bytes=int(fields["capacity"].quantity("bytes")) if "capacity" in fields else None,
        shared=tuple(region.names() for region in fields["shared"].items()) if "shared" in fields else (),
        depth={tensor.key: value.integer() for tensor, value in _entries(fields, "depth")},
        streamed=streamed,
        uncounted=fields["uncounted"].names() if "uncounted" in fields else (),
        overflow=fields["overflow"].choice(("error", "spill"), "'error' or 'spill'")
        if "overflow" in fields
        else "error",
        spills=fields["spills"].names() if "spills" in fields else (),
    )
