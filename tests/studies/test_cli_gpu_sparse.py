"""`attnsim gpu attention --block-density`: sparse masks from the command line."""

import json

import pytest
from click.testing import CliRunner

from studies.cli import main

CALL = ["gpu", "attention", "--arch", "b200", "--q-heads", "24", "--head-dim", "128", "--q-len", "65536"]


def test_a_share_and_its_choice_are_answered() -> None:
    run = CliRunner().invoke(main, [*CALL, "--block-density", "0.1", "--candidates", "64", "--format", "json"])
    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout)
    assert found["speedup_bound"] == pytest.approx(10)
    assert 1 < found["speedup"] < 10
    assert found["latency_s"] == pytest.approx(found["attend_s"] + found["select_s"])


def test_a_share_that_is_none_is_refused() -> None:
    assert CliRunner().invoke(main, [*CALL, "--block-density", "many"]).exit_code == 2
    assert CliRunner().invoke(main, [*CALL, "--block-density", "1.5"]).exit_code == 2
    assert CliRunner().invoke(main, [*CALL, "--block-density", "0.5,0.5"]).exit_code == 3
