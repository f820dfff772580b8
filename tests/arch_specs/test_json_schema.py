"""The JSON Schema of hardware files accepts what the readers accept and refuses what they refuse."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from arch_specs.json_schema import SCHEMAS, json_schema
from arch_specs.kinds import READERS, kind_of_machine, load_any
from arch_specs.load import read_architecture
from einsum_cascades.diagnostics import Source, SpecError
from einsum_cascades.registry import entries

FILES = [entry.path for entry in entries("archs")]
SMALL = "name: a\nclock: 1 GHz\nsource: made up\nparts:\n  pe: {kind: compute, rows: 4, ops: {mac: 1 cycle}}\n"


def judge(kind: str, text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(json_schema(kind))
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]


def accepts(text: str) -> bool:
    try:
        read_architecture(Source("a.yaml", text))
    except SpecError:
        return False
    return True


def test_every_kind_of_machine_has_a_schema_that_is_one() -> None:
    assert set(SCHEMAS) == set(READERS)
    for kind in SCHEMAS:
        jsonschema.Draft202012Validator.check_schema(json_schema(kind))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_fit_their_schema(path: Path) -> None:
    assert judge(kind_of_machine(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "change",
    [
        ("clock: 1 GHz", "clock: 1 GB"),
        ("clock: 1 GHz", "clock: 1"),
        ("clock: 1 GHz\n", ""),
        ("rows: 4", "rows: many"),
        ("rows: 4", "rows: 0"),
        ("rows: 4", "rows: 4, colour: red"),
        ("kind: compute", "kind: computer"),
        ("mac: 1 cycle", "mac: 1 s"),
        ("name: a", "name: a\nschema: attnsim/arch@2"),
        ("name: a", "name: a\nschema: arch"),
    ],
    ids=lambda change: change[1].strip() or "no clock",
)
def test_schema_and_reader_refuse_the_same(change: tuple[str, str]) -> None:
    assert judge("spatial", SMALL) == []
    assert accepts(SMALL)
    wrong = SMALL.replace(*change)
    assert judge("spatial", wrong) != []
    assert not accepts(wrong)


def test_a_schema_line_is_read_and_a_later_version_is_refused_by_name() -> None:
    assert accepts(SMALL + "schema: attnsim/arch@1\n")
    with pytest.raises(SpecError, match="version 7 of the schema is not read here"):
        read_architecture(Source("a.yaml", SMALL + "schema: attnsim/arch@7\n"))


def test_loaded_files_do_not_depend_on_the_schema_line(tmp_path: Path) -> None:
    for path in FILES[:2]:
        copy = tmp_path / path.name
        copy.write_text("schema: attnsim/arch@1\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
        loaded: Any = load_any(copy)
        assert loaded == load_any(path)
