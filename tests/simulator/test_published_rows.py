"""Every sampled row of the published attention tables: traffic, latency, utilization and activity."""

import csv
from pathlib import Path

import pytest

from studies.fusemax import CONFIGS, attention_rows

REFERENCE = Path(__file__).parent.parent / "reference" / "fusemax"


@pytest.fixture(scope="module")
def ours():
    return {(r["config"], r["model"], r["seq_len"], r["mapper"]): r for r in attention_rows()}


@pytest.mark.parametrize("config", list(CONFIGS))
def test_published_rows_are_reproduced_to_1e_6(ours, config):
    with (REFERENCE / f"attention_{config}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    for row in rows:
        found = ours[config, row["model"], int(row["seq_len"]), "recorded"]
        compared = [c for c in row if c not in ("model", "seq_len", "energy_pj")]
        for column in compared:
            assert found[column] == pytest.approx(float(row[column]), rel=1e-6), column


def test_own_flat_mapping_is_as_fast_as_the_recorded_one_with_no_more_traffic(ours):
    for (config, model, seq_len, mapper), row in ours.items():
        if config == "flat" and mapper == "own":
            recorded = ours[config, model, seq_len, "recorded"]
            assert row["latency_s"] == pytest.approx(recorded["latency_s"], rel=5e-3)
            assert row["util_2d"] == pytest.approx(recorded["util_2d"], rel=5e-3)
            assert row["traffic_bytes"] <= recorded["traffic_bytes"] * (1 + 1e-12)


def test_own_unfused_mapping_is_within_half_a_percent_of_the_recorded_traffic(ours):
    for (config, model, seq_len, mapper), row in ours.items():
        if config == "unfused" and mapper == "own":
            recorded = ours[config, model, seq_len, "recorded"]
            assert row["traffic_bytes"] == pytest.approx(recorded["traffic_bytes"], rel=5e-3)
            assert row["latency_s"] == pytest.approx(recorded["latency_s"], rel=5e-3)


def test_there_is_a_row_for_each_configuration_model_length_and_mapper(ours):
    assert len(ours) == 5 * 4 * 6 * 2
