"""A named shape from its YAML file."""

from __future__ import annotations

from pathlib import Path

from arch_specs.reader import Problems, read_yaml
from einsum_cascades.diagnostics import Source, read_source
from simulator.workload import Preset

__all__ = ["read_workload", "read_workload_file"]


def read_workload_file(path: str | Path) -> Preset:
    """Return the shape that a YAML file describes; SpecError with every problem of the file."""
    return read_workload(read_source(path), Path(path).stem)


def read_workload(source: Source, name: str) -> Preset:
    """Return the shape that a YAML text describes; SpecError with every problem of the text.

    >>> text = "summary: small\\nsource: made up\\nextents: {E: 64}\\nword: 16 bit"
    >>> read_workload(Source("small.yaml", text), "small").extents
    {'E': 64}
    """
    problems = Problems()
    fields = read_yaml(source, problems).mapping(
        ("summary", "source", "extents", "word"), ("equal",), f"workload '{name}'"
    )
    extents = {key.key: value.integer() for key, value in fields["extents"].entries()}
    equal = {key.key: value.text() for key, value in fields["equal"].entries()} if "equal" in fields else {}
    bits = int(fields["word"].quantity("bits"))
    if bits % 8:
        fields["word"].report(f"'word' is {bits} bit, but must be a whole number of bytes")
    preset = Preset(name, extents, equal, bits, fields["summary"].text(), fields["source"].text())
    problems.finish()
    return preset
