"""The library answers for its rows: each mechanism has a cascade, a formula that it equals, and its passes."""

from pathlib import Path

import numpy as np
import pytest

import studies
from einsum_cascades.equality import draw_inputs
from einsum_cascades.interpret import run
from einsum_cascades.references import find_reference
from tests.einsum_cascades.zoo import NAMES, ZOO, analysis_of, load, ragged, shapes

ROWS = {row["row"]: row for row in ZOO["papers"]}
STUDIES = {path.stem for path in Path(studies.__file__).parent.glob("*.py")}
CLASSES = {"A": 18, "B": 35, "C": 12}


def test_every_cascade_of_the_library_is_in_the_data_file() -> None:
    assert sorted(ZOO["cascades"]) == NAMES


def test_no_row_is_missing_and_none_stands_twice() -> None:
    assert len(ROWS) == len(ZOO["papers"])
    for kind, count in CLASSES.items():
        assert [name for name in ROWS if name[0] == kind] == [f"{kind}{n}" for n in range(1, count + 1)]
        assert {row["class"] for name, row in ROWS.items() if name[0] == kind} == {kind}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_a_cascade_with_a_formula_or_a_reason(name: str) -> None:
    row = ROWS[name]
    if row["class"] == "C":
        assert row["reason"]
        assert "cascades" not in row
        return
    assert row["cascades"]
    assert all(load(cascade).reference for cascade in row["cascades"])
    if row["class"] in "AB":
        assert row["claim"]
        assert row["version"]
    if row["class"] == "A":
        assert row["verdict"] in ("boundable", "machine", "not attention")
    assert row.get("card") is None or row["card"] in STUDIES


@pytest.mark.parametrize("name", NAMES)
def test_passes_are_those_of_the_data_file(name: str) -> None:
    found = analysis_of(name).passes
    stated = ZOO["cascades"][name]["passes"]
    assert {rank: str(found[rank]) for rank in stated} == {rank: str(n) for rank, n in stated.items()}


def check(name: str, count: int) -> None:
    cascade = load(name)
    formula = find_reference(str(cascade.reference))
    tried = 0
    for seed, shape in enumerate(shapes(cascade, count)):
        inputs = draw_inputs(cascade, shape, seed)
        found, expected = run(cascade, inputs, shape), formula(inputs, shape)
        for tensor in cascade.outputs:
            scale = max(1.0, np.abs(expected[tensor.name]).max(initial=0.0))
            difference = np.abs(found[tensor.name] - expected[tensor.name]).max(initial=0.0)
            assert difference <= 1e-10 * scale, (tensor.name, shape)
        tried += 1
    assert tried >= count


@pytest.mark.parametrize("name", NAMES)
def test_a_cascade_equals_its_formula_at_twenty_shapes(name: str) -> None:
    check(name, 20)


@pytest.mark.extended
@pytest.mark.parametrize("name", NAMES)
def test_a_cascade_equals_its_formula_at_two_hundred_shapes(name: str) -> None:
    check(name, 200)


def test_shapes_hold_extents_of_one_and_ragged_tiles() -> None:
    tried = list(shapes(load("attention_1pass"), 20))
    assert set(tried[0].values()) == {1}
    assert any(shape["M"] < shape["M1"] * shape["M0"] for shape in tried)
    assert ragged(load("attention_lightning"), tried[0] | {"P0": 1}, 0) is None
