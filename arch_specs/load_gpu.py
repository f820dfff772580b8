"""A graphics processor from its YAML file, found by name, path, or the name by which measurements call it.

kind: gpu
name: h100_sxm
summary: one line for `attnsim list`
vendor: nvidia
family: hopper
aliases: ["H100 SXM"]
source: of every number in the file that has no nearer one
sm_count: 132
clock_rated: {value: 1.83 GHz, source: "data sheet", uncertain: true}
mma_flop_per_clk: {bf16: {async: 4096 FLOP/clk, sync: 2580 FLOP/clk}}
gemm_ceiling: {sustained: 0.81}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from arch_specs.gpu import DTYPES, GEMM_MODES, PATHS, Gpu
from arch_specs.reader import Node, Problems, read_yaml
from arch_specs.schema import read_fields, schema_keys
from arch_specs.sourced import Sourced, optional_text
from einsum_cascades.diagnostics import Problem, Source, SpecError, read_source, suggest
from einsum_cascades.registry import entries

__all__ = ["gpu_entries", "load_gpu", "load_gpu_file", "read_gpu", "resolve_gpu"]

_BY_HAND = frozenset({"mma_flop_per_clk", "gemm_ceiling", "sources", "uncertain"})


def load_gpu(name: str | Path, search: Sequence[str | Path] = ()) -> Gpu:
    """Return the card that a path, a library name or one of its aliases means; `search` as in the registry.

    Raises SpecError with a suggestion when there is none, and with every problem of a file that is wrong.

    >>> load_gpu("H100 SXM").sm_count
    132
    """
    if Path(str(name)).is_file():
        return load_gpu_file(name)
    return load_gpu_file(resolve_gpu(str(name), search))


def resolve_gpu(label: str, search: Sequence[str | Path] = ()) -> Path:
    """Return the file of the card that a label means: its name or an alias, whatever the case and punctuation.

    Raises SpecError with a suggestion for a label that means none.
    """
    known = gpu_entries(search)
    found = known.get(_plain(label))
    if found is None:
        names = sorted({path.stem for path in known.values()})
        hint = suggest(label, names) or suggest(_plain(label), known) or "'attnsim list archs' shows the names"
        raise SpecError(Problem(f"unknown GPU '{label}'", hint=hint))
    return found


def gpu_entries(search: Sequence[str | Path] = ()) -> dict[str, Path]:
    """Return the file of every GPU of the library by its names and aliases, in lower case without punctuation."""
    found: dict[str, Path] = {}
    for entry in entries("archs", search):
        for alias in _aliases(entry.path, entry.path.stat().st_mtime_ns):
            found.setdefault(alias, entry.path)
    return found


@lru_cache(maxsize=1024)
def _aliases(path: Path, _changed: int) -> tuple[str, ...]:
    """Return the plain names of a GPU file; none where the file is another machine's or cannot be read."""
    try:
        root = read_yaml(read_source(path), Problems())
    except SpecError:
        return ()  # a broken file elsewhere in the library is not what the caller asks about
    values = {key.key: value for key, value in root.entries()}
    if "kind" not in values or values["kind"].text() != "gpu":
        return ()
    return (_plain(path.stem), *(_plain(a) for a in (values["aliases"].names() if "aliases" in values else ())))


def _plain(label: str) -> str:
    """Return a label without case, punctuation and maker.

    >>> _plain("NVIDIA GeForce RTX 4090")
    'rtx4090'
    """
    text = re.sub(r"[^a-z0-9]", "", label.lower())
    return re.sub(r"nvidia|geforce|amd|instinct", "", text) or text


def load_gpu_file(path: str | Path) -> Gpu:
    """Return the card that a YAML file describes; SpecError with every problem of the file."""
    try:
        changed = Path(path).stat().st_mtime_ns
    except OSError:
        changed = 0  # reading it will say what is wrong
    return _load_once(path, changed)


@lru_cache(maxsize=256)
def _load_once(path: str | Path, _changed: int) -> Gpu:
    return read_gpu(read_source(path))


def read_gpu(source: Source) -> Gpu:
    """Return the card that a YAML text describes; SpecError with every problem of the text."""
    problems = Problems()
    root = read_yaml(source, problems)
    required, optional = schema_keys(Gpu, without=_BY_HAND)
    fields = root.mapping(("kind", *required, "mma_flop_per_clk"), (*optional, "gemm_ceiling", "source"), "a GPU")
    fields["kind"].choice(["gpu"], "a kind of machine")
    reader = Sourced(optional_text(fields, "source"))
    values = read_fields(fields, Gpu, _BY_HAND, lambda node, name: reader.number(node, name, ""))
    rates = _read_rates(reader, fields["mma_flop_per_clk"])
    ceilings = _read_ceilings(reader, fields["gemm_ceiling"]) if "gemm_ceiling" in fields else {}
    if values.get("clock_max_hz", 0.0) < values.get("clock_rated_hz", 0.0):
        fields["clock_max"].report("'clock_max' is below 'clock_rated'")
    if values.get("smem_bytes", 0) < values.get("block_smem_bytes", 0):
        fields["block_smem"].report("'block_smem' is more than 'smem': a block cannot have more than its SM")
    problems.finish()
    return Gpu(
        **values,
        mma_flop_per_clk=rates,
        gemm_ceiling=ceilings,
        sources=reader.sources,
        uncertain=frozenset(reader.uncertain),
    )


def _read_rates(reader: Sourced, node: Node) -> dict[str, dict[str, int]]:
    """Read `{bf16: {async: 4096 FLOP/clk, sync: 2580 FLOP/clk}}`."""
    rates: dict[str, dict[str, int]] = {}
    for key, paths in node.entries():
        _check_name(key, DTYPES, "type of number")
        rates[key.key] = {}
        for path, rate in paths.entries():
            _check_name(path, PATHS, "path of tensor instructions")
            dotted = f"mma_flop_per_clk.{key.key}.{path.key}"
            rates[key.key][path.key] = int(reader.number(rate, dotted, "").quantity("flop_per_clk"))
        if paths.form == "mapping" and not rates[key.key]:
            paths.report(f"'{key.key}' has no rate", "write e.g. 'async: 4096 FLOP/clk'")
    if node.form == "mapping" and not rates:
        node.report("'mma_flop_per_clk' has no rate", "write e.g. 'bf16: {sync: 2048 FLOP/clk}'")
    return rates


def _read_ceilings(reader: Sourced, node: Node) -> dict[str, float]:
    """Read `{sustained: 0.81}`."""
    ceilings: dict[str, float] = {}
    for key, share in node.entries():
        _check_name(key, GEMM_MODES, "timing mode")
        value: Any = reader.number(share, f"gemm_ceiling.{key.key}", "").number()
        if not 0 < value <= 1:
            share.report(f"'{key.key}' is {value:g}, but a ceiling is a share above 0 and at most 1")
        ceilings[key.key] = value
    return ceilings


def _check_name(key: Node, names: tuple[str, ...], what: str) -> None:
    if key.key not in names:
        key.report(f"unknown {what} '{key.key}'", suggest(key.key, names) or f"one of {', '.join(names)}")
