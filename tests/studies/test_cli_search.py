"""`attnsim search` answers by contract, and the mapping it writes gives the same numbers to `attnsim eval`."""

import json

from click.testing import CliRunner

from studies.cli import main


def run(*words):
    return CliRunner().invoke(main, list(words))


def test_the_mapping_that_is_saved_evaluates_to_the_numbers_that_were_found(tmp_path):
    path = tmp_path / "found.yaml"
    design = ("attention_1pass", "fusemax", "M=1024", "--workload", "bert", "--format", "json")
    found = run("search", *design, "--save", str(path))
    assert found.exit_code == 0, found.output
    data = json.loads(found.stdout)
    assert {"mapping", "evaluated", "pareto", "space", "bound", "gap", "proven", "shipped"} <= set(data)
    again = json.loads(run("eval", *design, "--mapping", str(path)).stdout)
    assert {key: data[key] for key in again} == again
    assert data["mapping"] == path.read_text()
    headroom = {row["mapping"]: row["headroom"] for row in data["shipped"]}
    assert round(headroom["fusemax_binding"], 3) == 0.124


def test_what_is_wrong_ends_with_a_message_and_exit_code_2():
    result = run("search", "attention_1pass", "fusemax", "M=1024", "--workload", "bert", "--objective", "speed")
    assert result.exit_code == 2
    assert "unknown objective 'speed'" in result.stderr
