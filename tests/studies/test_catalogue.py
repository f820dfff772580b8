"""The catalogue: its page says what its table and its data file say, and the table what the analysis says."""

from pathlib import Path

import pytest

from arch_specs.load_gpu import load_gpu
from einsum_cascades.diagnostics import MappingError
from einsum_cascades.parser import parse
from simulator.laws.roofline import Work, bound_on_array, bound_on_gpu, measure_work
from simulator.library import load_machine
from studies.catalogue import read_families, read_rows
from studies.catalogue_costs import TABLE as COSTS
from studies.catalogue_costs import WITHOUT_COSTS, fingerprint, measure_costs, measure_live, write_rows
from studies.catalogue_page import FAMILIES, write_catalogue_page
from studies.tables import read_table

ROOT = Path(__file__).parents[2]
TABLE = {row["cascade"]: row for row in read_table("catalogue").to_dict("records")}
NAMES = list(read_families())
# Slow to count, or to analyze: measured with `pytest --extended`.
SLOW = {"attention_sharded_context"}
CHOSEN = [name for name in NAMES[::6] if name not in SLOW]


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert page == write_catalogue_page(), "python -m studies.catalogue_page > docs/catalogue.md"


def test_every_cascade_is_in_the_table_as_it_is_now() -> None:
    assert list(TABLE) == NAMES, "python -m studies.catalogue_costs"
    changed = [name for name in NAMES if TABLE[name]["made_of"] != fingerprint(name)]
    assert changed == [], "python -m studies.catalogue_costs"


def test_what_is_as_it_was_is_not_measured_again() -> None:
    past = COSTS.read_text(encoding="utf-8").replace(",0.00111126,", ",7,")
    assert past.count(",7,") > 5
    assert write_rows(past) == past


def test_every_family_has_a_section() -> None:
    assert set(read_families().values()) == set(FAMILIES)


def check(name: str) -> None:
    live = measure_live(name, read_families()[name])
    assert {key: TABLE[name][key] if TABLE[name][key] == TABLE[name][key] else "" for key in live} == live
    if read_families()[name] in WITHOUT_COSTS:
        return
    for column, value in measure_costs(name).items():
        stated = TABLE[name][column]
        if value is None:
            assert stated != stated
        else:
            assert stated == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value), column


@pytest.mark.parametrize("name", CHOSEN)
def test_a_row_is_what_the_analysis_says(name: str) -> None:
    check(name)


@pytest.mark.extended
@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_what_the_analysis_says(name: str) -> None:
    check(name)


@pytest.mark.parametrize("row", read_rows(), ids=lambda row: row.row)
def test_a_row_has_costs_and_a_card_or_a_reason(row) -> None:
    """A claim has a study that prints it beside the ceiling; a mechanism its costs; the others say why not."""
    if row.kind == "C":
        assert row.reason
        assert not row.cascades
        return
    assert [name for name in row.cascades if TABLE[name]["matrix_flop"] != TABLE[name]["matrix_flop"]] == []
    if row.kind == "A":
        assert row.verdict
        assert row.card


def test_softmax_costs_what_the_closed_form_says() -> None:
    row = TABLE["attention_1pass"]
    assert row["matrix_flop"] == pytest.approx(4 * 32 * 8192**2 * 128, rel=1e-5)
    assert row["bytes"] == pytest.approx(2 * 4 * 32 * 8192 * 128, rel=1e-5)
    assert row["h100_s"] == pytest.approx(4 * 32 * 8192**2 * 128 / 989.4e12, rel=1e-3)


def test_products_are_those_that_are_summed() -> None:
    cascade = parse(
        "cascade t\nextent M, N\ninput A[M,N] B[N]\noutput Z[M]\nS[m] = A[m,n] * B[n]\nZ[m] = S[m] * exp(S[m])"
    )
    assert measure_work(cascade, {"M": 5, "N": 7}) == Work(35.0, {"exp": 5.0}, 35 + 7 + 5)


def test_each_bound_is_work_over_rate() -> None:
    gpu = load_gpu("h100_sxm")
    per_s = gpu.sm_count * gpu.clock_rated_hz
    assert bound_on_gpu(Work(4096 / 2 * per_s, {}, 0), gpu).seconds == pytest.approx(1)
    assert bound_on_gpu(Work(0, {"exp": 10 * per_s, "div": 6 * per_s}, 0), gpu).seconds == pytest.approx(1)
    assert bound_on_gpu(Work(0, {}, gpu.dram_bytes_per_s / 2), gpu) == bound_on_gpu(Work(1, {}, 1.675e12), gpu)


def test_an_array_divides_where_it_can_and_multiplies_everywhere() -> None:
    chip = load_machine("fusemax")
    assert bound_on_array(Work(0, {"div": 256 * 940e6}, 0), chip).by == "pe1d"
    both = bound_on_array(Work(65792 * 940e6, {"exp": 65792 * 940e6}, 0), chip)
    assert (both.seconds, both.by) == (pytest.approx(7), "pe2d + pe1d")
    with pytest.raises(MappingError, match="cos"):
        bound_on_array(Work(0, {"cos": 1.0}, 0), chip)
