"""The shipped architectures: they load, every number has a source, and their peaks are the published ones."""

import csv
import dataclasses
from pathlib import Path

import pytest

from arch_specs.load import load_architecture
from arch_specs.model import Compute
from einsum_cascades.registry import entries, locate

REFERENCE = Path(__file__).parents[1] / "reference" / "peaks.csv"
PEAKS = list(csv.DictReader(REFERENCE.read_text(encoding="utf-8").splitlines()))
SHIPPED = sorted((Path(__file__).parents[2] / "arch_specs").glob("spatial/*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_spec_has_the_name_of_its_file_and_a_summary(path: Path) -> None:
    arch = load_architecture(path)
    assert arch.name == path.stem
    assert next(e.summary for e in entries("archs") if e.name == arch.name) == arch.summary != ""


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_number_of_a_shipped_spec_has_a_source(path: Path) -> None:
    arch = load_architecture(path)
    dotted = [f"{part.name}.{field.name}" for part in arch.parts for field in dataclasses.fields(part)]
    numbers = [path for path in dotted if path.endswith(("_bytes", "_s", "_j")) and arch.value(path) is not None]
    assert arch.source("clock")
    assert all(arch.source(path) for path in numbers)


@pytest.mark.parametrize("row", PEAKS, ids=lambda row: f"{row['architecture']}-{row['part']}-{row['what']}")
def test_peak_rates_are_the_published_ones(row: dict[str, str]) -> None:
    arch = load_architecture(locate("archs", row["architecture"]))
    part = arch.part(row["part"])
    if isinstance(part, Compute):
        cycles = part.cycles(row["what"])
        assert cycles is not None
        found = part.lanes * arch.clock_hz / float(cycles)
    else:
        found = arch.value(f"{row['part']}.{row['what']}")
    assert found == pytest.approx(float(row["value"]), rel=1e-12)


def test_every_shipped_spec_has_a_published_peak() -> None:
    assert {path.stem for path in SHIPPED} == {row["architecture"] for row in PEAKS}


def test_shipped_names_are_unique() -> None:
    assert len({path.stem.lower() for path in SHIPPED}) == len(SHIPPED)


def test_the_chips_have_the_operations_that_their_configurations_need() -> None:
    ops = {
        (name, part): {op.name for op in load_architecture(locate("archs", name)).part(part).ops}  # type: ignore[union-attr]
        for name in ("flat", "fusemax")
        for part in ("pe2d", "pe1d")
    }
    assert ops["flat", "pe2d"] == {"mac"}
    assert ops["flat", "pe1d"] == ops["fusemax", "pe1d"] == {"mac", "max", "add", "exp", "div"}
    assert ops["fusemax", "pe2d"] == {"mac", "max", "add", "exp"}
