"""`attnsim sweep` as scripts see it."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from studies.cli import main

ROOT = Path(__file__).parents[2]
SWEEP = ("sweep", "attention_1pass", "fusemax", "--workload", "bert")
SMALL = (*SWEEP, "--set", "M=2^10..2^12", "--set", "L3.capacity=64KiB,16MiB")


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_one_row_a_design_with_the_last_axis_fastest():
    result = run(*SMALL, "--format", "csv")
    assert result.exit_code == 0
    table = rows(result.stdout)
    assert [(r["M"], r["L3.capacity"]) for r in table] == [
        (m, c) for m in ("1024", "2048", "4096") for c in ("65536", "16777216")
    ]


def test_a_row_has_the_figures_of_eval():
    table = rows(run(*SWEEP, "--set", "M=2^14", "--format", "csv").stdout)
    one = json.loads(run("eval", *SWEEP[1:], "M=2^14", "--format", "json").stdout)
    assert float(table[0]["latency_s"]) == pytest.approx(one["latency_s"], rel=1e-12)
    assert float(table[0]["energy_j"]) == pytest.approx(one["energy_j"], rel=1e-12)
    assert float(table[0]["util_pe2d"]) == pytest.approx(one["utilization"]["pe2d"], rel=1e-12)
    assert table[0]["bound_by"] == one["bound_by"]


def test_an_infeasible_design_is_a_row_that_says_why():
    table = rows(run(*SMALL, "--format", "csv").stdout)
    assert [r["feasible"] for r in table] == ["false", "true"] * 3
    assert table[0]["why"].startswith("mapping fusemax_binding needs 132,096 bytes of L3, which has 65,536")
    assert table[0]["latency_s"] == table[0]["mapping.queries"] == ""


def test_json_is_an_array_of_the_same_rows():
    data = json.loads(run(*SMALL, "--format", "json").stdout)
    table = rows(run(*SMALL, "--format", "csv").stdout)
    assert len(data) == 6
    assert data[0]["latency_s"] is None
    assert [r["latency_s"] for r in data[1::2]] == [float(r["latency_s"]) for r in table[1::2]]


def test_parquet_holds_the_same_rows(tmp_path):
    assert run(*SMALL, "--out", tmp_path / "t.parquet").exit_code == 0
    read = pq.read_table(tmp_path / "t.parquet").to_pylist()
    assert read == json.loads(run(*SMALL, "--format", "json").stdout)


def test_the_sidecar_says_what_the_table_is(tmp_path):
    assert run(*SMALL, "--out", tmp_path / "t.csv").exit_code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.csv", "t.csv.meta.json"]
    about = json.loads((tmp_path / "t.csv.meta.json").read_text())
    assert about["points"] == 6
    assert [axis["values"] for axis in about["axes"]] == [[1024, 2048, 4096], [65536, 16777216]]
    assert {"attnsim", "cascade", "architecture", "mapping", "kernel", "wall_s", "columns"} <= set(about)
    assert about["columns"] == (tmp_path / "t.csv").read_text().splitlines()[0].split(",")


def test_options_of_knobs_are_axes_too():
    words = ("sweep", "linear", "fusemax", "--mapping", "linear", "T=1024", "K=768", "N=768", "--format", "csv")
    table = rows(run(*words, "--set", "mapping.order=weights_resident,tokens_resident").stdout)
    assert [r["mapping.order"] for r in table] == ["weights_resident", "tokens_resident"]
    assert [r["mapping.tokens"] for r in table] == ["256", "1024"]


def test_every_typo_is_told_before_the_first_point(tmp_path):
    typos = ("--set", "pe2d.row=64", "--set", "N=4", "--set", "mapping.query=4", "--set", "M=8..4")
    result = run(*SWEEP, *typos, "--out", tmp_path / "t.csv")
    assert result.exit_code == 2
    assert "pe2d has no number 'row'" in result.stderr
    assert "did you mean 'rows'?" in result.stderr
    assert "'N' is no extent of attention_1pass, number of fusemax or knob" in result.stderr
    assert "mapping fusemax_binding has no knob 'query'" in result.stderr
    assert "the range 8..4 ends before it begins" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "M=1,"), "axis M has an empty value in '1,'"),
        (("--set", "M=64", "--set", "M=128"), "axis M is given twice"),
        (("--set", "M=64,64"), "axis M has 64 twice"),
        (("--set", "L3.capacity=1MiB..2MiB"), "the range 1MiB..2MiB needs a step"),
        (("--set", "L3.capacity=1 GB/s"), "L3.capacity"),
        (("--set", "pe2d.rows=64"), "needs the extent"),
        (("--set", "M=64", "--resume"), "--resume goes on with what --out holds"),
        (("--set", "M=64", "--format", "parquet"), "Parquet is written to a file or a folder"),
        (("--set", "M=64", "--accounting", "cleen"), "unknown accounting 'cleen'; did you mean 'clean'?"),
    ],
)
def test_wrong_words_are_explained(words, message):
    result = run("sweep", "attention_1pass", "fusemax", "B=1", "H=1", "E=64", "F=64", "P=256", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_folder_is_not_written_over(tmp_path):
    out = tmp_path / "runs"
    assert run(*SMALL, "--out", out).exit_code == 0
    again = run(*SMALL, "--out", out)
    assert (again.exit_code, "continue it with --resume" in again.stderr) == (2, True)
    other = run(*SWEEP, "--set", "M=2^10", "--out", out, "--resume")
    assert (other.exit_code, "holds another sweep: axes, points" in other.stderr) == (2, True)
    whole = (out / "part-000000.csv").read_bytes()
    assert run(*SMALL, "--out", out, "--resume").exit_code == 0
    assert (out / "part-000000.csv").read_bytes() == whole


def test_a_mapping_for_another_cascade_is_refused():
    result = run("sweep", "attention_3pass", "fusemax", "--workload", "bert", "--set", "M=1024")
    assert result.exit_code == 3
    assert "mapping fusemax_binding is for attention_1pass" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_a_bar_with_rate_and_time_left_is_on_a_terminal_s_standard_error_alone(tmp_path):
    import pty

    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "studies.cli", *SMALL, "--out", str(tmp_path / "t.csv")]
    done = subprocess.run(words, stderr=theirs, stdout=subprocess.PIPE, cwd=ROOT, check=True)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    assert "designs/s" in shown
    assert "6/6" in shown
    assert done.stdout == b""
    assert "designs/s" not in run(*SMALL, "--out", tmp_path / "u.csv").stderr
