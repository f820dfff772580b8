"""One way to answer: JSON that any reader takes, tables that hide nothing, files that are whole or not there."""

import csv
import io
import json
import math
import stat
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from einsum_cascades.diagnostics import SpecError
from studies.output import Output, emit, output_options, plain, replacing

ROWS = [{"name": "a", "busy_s": 0.1 + 0.2, "ok": True}, {"name": "b, c", "busy_s": math.inf, "note": None}]


@dataclass
class Point:
    x: float
    y: Fraction


def test_json_has_no_value_that_json_lacks() -> None:
    value = {"a": [math.nan, math.inf, -math.inf], 1: Point(1.5, Fraction(1, 4)), "s": {2, 1}, "f": Fraction(3)}
    assert plain(value) == {"a": [None, "inf", "-inf"], "1": {"x": 1.5, "y": 0.25}, "s": [1, 2], "f": 3}


def test_arrays_and_tables_are_lists() -> None:
    import numpy as np
    import pandas as pd

    assert plain({"a": np.arange(2), "b": np.float64("nan"), "c": np.int64(3), "d": np.bool_(True)}) == {
        "a": [0, 1],
        "b": None,
        "c": 3,
        "d": True,
    }
    assert plain(pd.DataFrame({"x": [1.0, math.nan]})) == [{"x": 1.0}, {"x": None}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON)
def test_any_value_is_strict_json(value: object) -> None:
    text = json.dumps(plain(value), allow_nan=False)
    assert json.loads(text) == plain(value)


def emitted(data: object, form: str, capsys: pytest.CaptureFixture[str]) -> str:
    emit(data, Output(form))  # type: ignore[arg-type]
    return capsys.readouterr().out


def test_a_table_shows_every_cell_whole(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    out = emitted([{"name": long, "other": "[red]no markup[/red]"}], "table", capsys)
    assert long in out
    assert "[red]no markup[/red]" in out


def test_a_piped_table_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    out = emitted(ROWS, "table", capsys)
    assert out == "name  busy_s  ok    note\na        0.3  true\nb, c     inf\n"
    assert "\x1b" not in out


def test_csv_reads_back_equal(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(emitted(ROWS, "csv", capsys))))
    assert float(rows[0]["busy_s"]) == 0.1 + 0.2
    assert rows[1] == {"name": "b, c", "busy_s": "inf", "ok": "", "note": ""}


@pytest.mark.parametrize("form", ["table", "csv"])
def test_no_rows_are_no_text(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert emitted([], form, capsys) == ""


def test_a_mapping_is_a_table_of_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert emitted({"latency_s": 0.5}, "csv", capsys) == "key,value\nlatency_s,0.5\n"


def test_a_file_is_replaced_whole_or_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    emit([1], Output("json", path))
    assert json.loads(path.read_text()) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    emit([1], Output("json", tmp_path / "a.json"))
    (tmp_path / "b").write_text("")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    emit([1], Output("json", tmp_path / "link.json"))
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text()) == [1]


def test_a_device_is_written_not_replaced(tmp_path: Path) -> None:
    emit([1], Output("json", Path("/dev/null")))
    assert not Path("/dev/null").is_file()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as error:
        emit([1], Output("json", Path("no/a.json")))
    assert str(error.value) == "no/a.json: cannot be written: no such file or directory"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "table None"),
        (["--format", "csv"], "csv None"),
        (["--out", "x.json"], "json x.json"),
        (["--out", "x.CSV"], "csv x.CSV"),
        (["--out", "x.txt"], "table x.txt"),
        (["--out", "x.csv", "--format", "json"], "json x.csv"),
    ],
)
def test_the_format_follows_the_option_then_the_suffix(arguments: list[str], expected: str) -> None:
    @click.command()
    @output_options
    def command(output: Output) -> None:
        click.echo(f"{output.format} {output.path}")

    assert CliRunner().invoke(command, arguments).output.strip() == expected
