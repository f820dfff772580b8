"""Static RAMs of any size: exact on the table, and off it as good as it says."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_specs.sram import PORTS, QUANTITIES, estimate_sram, leave_one_out_error
from einsum_cascades.diagnostics import SpecError

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "arch_specs/data/sram_cacti.csv").read_text("utf-8").splitlines()
RUNS = list(csv.DictReader(line for line in TABLE if not line.startswith("#")))
PUBLISHED = list(csv.DictReader((ROOT / "tests/reference/sram_45nm.csv").read_text("utf-8").splitlines()))
PORT_NAMES = {columns: name for name, columns in PORTS.items()}
STATED = {row.quantity: row for row in leave_one_out_error() if (row.node_nm, row.ports, row.banks) == (45, "1rw", 1)}


def ports_of(run: dict[str, str]) -> str:
    return PORT_NAMES[int(run["rw_ports"]), int(run["read_ports"]), int(run["write_ports"])]


def trend(width: int, rows: int) -> list[float]:
    return [1.0, math.log2(width), math.log2(rows), math.log2(1 + width / rows / 2)]


def solve_without(
    runs: list[dict[str, str]], column: str, left_out: set[tuple[int, int]]
) -> dict[tuple[int, int], float]:
    """Predict the points left out from the others: a trend and distances in octaves, solved from scratch."""
    known = {(int(r["width_bits"]), int(r["depth_rows"])): math.log(float(r[column])) for r in runs}
    kept = [at for at in known if at not in left_out]

    def row(at: tuple[int, int]) -> list[float]:
        return [-math.hypot(math.log2(at[0] / b[0]), math.log2(at[1] / b[1])) for b in kept] + trend(*at)

    bottom = [[trend(*at)[k] for at in kept] + [0.0] * 4 for k in range(4)]
    weights = np.linalg.solve([row(at) for at in kept] + bottom, [known[at] for at in kept] + [0.0] * 4)
    return {at: math.exp(sum(w * x for w, x in zip(weights, row(at), strict=True))) for at in left_out}


SLICE = [r for r in RUNS if (r["node_nm"], ports_of(r), r["banks"]) == ("45", "1rw", "1")]


def test_every_run_of_the_table_comes_back() -> None:
    assert len(RUNS) == 994
    for run in RUNS:
        banks = int(run["banks"])
        ram = estimate_sram(
            int(run["width_bits"]),
            int(run["depth_rows"]),
            banks=banks,
            ports=ports_of(run),
            node_nm=int(run["node_nm"]),
        )
        assert ram.capacity_bytes == int(run["capacity_bytes"])
        assert ram.warnings == ()
        assert set(ram.error.values()) == {0.0}
        for name, (column, factor) in QUANTITIES.items():
            scale = banks if name == "leakage_w" else 1
            assert getattr(ram, name) == pytest.approx(float(run[column]) * factor * scale, rel=1e-9)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row['width_bits']}x{row['depth_rows']}")
def test_the_published_rams_are_in_the_table(row: dict[str, str]) -> None:
    ram = estimate_sram(int(row["width_bits"]), int(row["depth_rows"]))
    assert ram.area_um2 == pytest.approx(float(row["area_um2"]), rel=1e-5)
    assert ram.read_j == pytest.approx(float(row["read_pJ"]) * 1e-12, rel=1e-5)
    assert ram.write_j == pytest.approx(float(row["write_pJ"]) * 1e-12, rel=1e-5)


@pytest.mark.parametrize(
    ("rows", "read_pj", "write_pj", "address_bits"),
    [(32768, 12512.760572, 15751.460572, 15), (65536, 23854.664592, 27097.564592, 16)],
)
def test_the_buffers_of_fusemax_are_the_table_and_an_address_generator(
    rows: int, read_pj: float, write_pj: float, address_bits: int
) -> None:
    """FuseMax artifact: an access to its 16 and 32 MiB buffers, and what generating the address costs."""
    address_pj = 0.000276034 + 0.004019719 * address_bits
    ram = estimate_sram(4096, rows)
    assert ram.read_j * 1e12 + address_pj == pytest.approx(read_pj, abs=1e-5)
    assert ram.write_j * 1e12 + address_pj == pytest.approx(write_pj, abs=1e-5)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row['width_bits']}x{row['depth_rows']}")
def test_a_published_ram_left_out_is_predicted_within_the_stated_error(row: dict[str, str]) -> None:
    at = (int(row["width_bits"]), int(row["depth_rows"]))
    quantities = [("area_um2", "area_um2", "area_um2")]
    if at[1] >= 32768:  # the buffers of FuseMax, whose energies are published too
        quantities += [("read_j", "read_pj", "read_pJ"), ("write_j", "write_pj", "write_pJ")]
    for name, column, published in quantities:
        (found,) = solve_without(SLICE, column, {at}).values()
        assert abs(found / float(row[published]) - 1) <= STATED[name].p95


def test_all_published_rams_left_out_at_once_stay_below_the_largest_error() -> None:
    left_out = {(int(row["width_bits"]), int(row["depth_rows"])): float(row["area_um2"]) for row in PUBLISHED}
    found = solve_without(SLICE, "area_um2", set(left_out))
    errors = {at: abs(found[at] / area - 1) for at, area in left_out.items()}
    assert max(errors.values()) <= STATED["area_um2"].largest


def test_the_stated_error_is_that_of_solving_again_without_each_point() -> None:
    sizes = [(int(r["width_bits"]), int(r["depth_rows"])) for r in SLICE]
    for name in ("read_j", "cycle_s"):
        column = QUANTITIES[name][0]
        errors = [
            abs(solve_without(SLICE, column, {at})[at] / float(run[column]) - 1)
            for at, run in zip(sizes, SLICE, strict=True)
        ]
        row = STATED[name]
        assert (row.points, row.axis) == (len(errors), "size")
        assert row.median == pytest.approx(np.median(errors), rel=1e-6)
        assert row.p95 == pytest.approx(np.quantile(errors, 0.95), rel=1e-6)
        assert row.largest == pytest.approx(max(errors), rel=1e-6)


def test_the_error_of_banks_is_that_of_the_middle_from_both_ends() -> None:
    areas = {
        (int(r["banks"]), r["width_bits"], r["depth_rows"]): float(r["area_um2"])
        for r in RUNS
        if r["node_nm"] == "22" and ports_of(r) == "1rw"
    }
    errors = [
        abs(math.sqrt(areas[1, w, d] * areas[16, w, d]) / area - 1)
        for (banks, w, d), area in areas.items()
        if banks == 4 and (16, w, d) in areas
    ]
    row = next(r for r in leave_one_out_error() if (r.node_nm, r.axis, r.quantity) == (22, "banks", "area_um2"))
    assert (row.points, row.banks) == (len(errors), 4)
    assert row.largest == pytest.approx(max(errors), rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(
    st.floats(64, 8192),
    st.floats(256, 65536),
    st.sampled_from([(1.0, "1rw"), (2.0, "1rw"), (8.0, "1rw"), (1.0, "1r1w"), (1.0, "2rw"), (1.0, "4rw")]),
    st.floats(22, 45),
)
def test_between_the_points_everything_is_positive_and_errors_are_stated(
    width: float, rows: float, kind: tuple[float, str], node: float
) -> None:
    banks, ports = kind
    ram = estimate_sram(width, rows, banks=banks, ports=ports, node_nm=node)
    assert all(0 < getattr(ram, name) < math.inf for name in QUANTITIES)
    assert all(error >= 0 for error in ram.error.values())
    assert ram.node_nm in (22, 45) or any("no known error" in text for text in ram.warnings)


def test_a_ram_between_two_banks_lies_between_them() -> None:
    areas = [estimate_sram(1024, 1024, banks=banks).area_um2 for banks in (1, 2, 4, 8, 16)]
    assert areas == sorted(areas)
    assert estimate_sram(1024, 1024, banks=2).error["area_um2"] > 0.2


@pytest.mark.parametrize("size", [(16384, 1024), (256, 64), (8192, 131072)])
def test_a_size_outside_the_table_is_a_warning(size: tuple[int, int]) -> None:
    assert estimate_sram(*size).warnings == (
        f"{size[0]} bits x {size[1]} rows is outside the table of 64 to 8192 bits, 128 to 131072 rows, "
        "up to 64 MiB in 1 bank",
    )


def test_a_ram_of_banks_is_held_against_the_table_of_banks() -> None:
    (warning,) = estimate_sram(4096, 16384, banks=16).warnings
    assert warning.endswith("up to 64 MiB in 16 banks")
    assert estimate_sram(4096, 8192, banks=16).warnings == ()


def test_banks_and_nodes_outside_the_table_are_warnings() -> None:
    assert estimate_sram(256, 512, banks=32).warnings == ("32 banks are outside the table",)
    assert estimate_sram(256, 512, node_nm=7).warnings == ("7 nm is outside the table: from 22 nm and 45 nm",)
    assert estimate_sram(256, 512, node_nm=32).warnings == ("32 nm has no known error: from 22 nm and 45 nm",)


def test_what_the_table_cannot_answer_is_an_error() -> None:
    with pytest.raises(SpecError) as error:
        estimate_sram(0, math.nan, ports="2rv")
    assert str(error.value) == (
        "width_bits of an SRAM is 0, but must be above zero\n"
        "rows_per_bank of an SRAM is nan, but must be above zero\n"
        "unknown ports '2rv' of an SRAM\n    did you mean '2rw'?"
    )
    with pytest.raises(SpecError, match="no data for an SRAM of 4 banks with 2rw ports"):
        estimate_sram(256, 512, banks=4, ports="2rw")
