"""Energies and areas of parts against published figures (FuseMax artifact, MIT licence) and laws."""

from itertools import pairwise

import pytest

from arch_specs.cost import access_cost, chip_area, find_lacks, operation_energy, register_file
from arch_specs.model import Architecture, Compute, Memory, Operation
from einsum_cascades.diagnostics import SpecError
from simulator import library


@pytest.mark.parametrize(
    ("arch", "read_pj", "write_pj"),
    [("fusemax", 12512.760572, 15751.460572), ("flat", 23854.664592, 27097.564592)],
)
def test_buffer_energies_are_the_published_ones(arch, read_pj, write_pj):
    machine = library.load_machine(arch)
    cost = access_cost(machine, machine.part("L3"))
    assert cost.read_j * 1e12 == pytest.approx(read_pj, rel=1e-6)
    assert cost.write_j * 1e12 == pytest.approx(write_pj, rel=1e-6)
    assert cost.error == 0 and cost.warnings == ()


def test_dram_moves_64_bits_for_the_published_energy():
    machine = library.load_machine("fusemax")
    cost = access_cost(machine, machine.part("DRAM"))
    assert (cost.access_bytes, cost.read_j) == (8, pytest.approx(249.6e-12))


@pytest.mark.parametrize(("arch", "area_cm2"), [("flat", 13.92), ("fusemax", 13.03)])
def test_chip_areas_are_the_published_ones(arch, area_cm2):
    assert sum(chip_area(library.load_machine(arch)).values()) / 1e8 == pytest.approx(area_cm2, abs=0.005)


def test_another_capacity_is_interpolated_and_says_so():
    machine = library.load_machine("fusemax").replace("L3.capacity", "12 MiB")
    smaller, published = (access_cost(m, m.part("L3")) for m in (machine, library.load_machine("fusemax")))
    assert smaller.read_j < published.read_j and smaller.area_um2 < published.area_um2
    assert 0 < smaller.error < 0.5


def test_a_capacity_outside_the_table_is_a_warning():
    machine = library.load_machine("fusemax").replace("L3.capacity", "1 GiB")
    assert (
        access_cost(machine, machine.part("L3")).warnings[0].startswith("L3: 4096 bits x 2.09715e+06 rows is outside")
    )


def test_a_technology_that_lacks_a_number_is_refused():
    machine = Architecture("a", 1e9, (Memory("buffer", technology="registers", access_bytes=2),))
    with pytest.raises(SpecError) as caught:
        access_cost(machine, machine.part("buffer"))
    assert str(caught.value) == "part 'buffer' needs 'depth' for its energy"


def test_a_register_file_never_costs_less_when_it_is_deeper():
    files = [register_file(words) for words in (1, 4, 12, 64, 65, 256)]
    for small, large in pairwise(files):
        assert small.read_j <= large.read_j and small.area_um2 <= large.area_um2
        assert small.read_j > small.write_j


def test_an_expansion_costs_what_it_expands_into():
    ops = (Operation("mac", 1, energy_j=2e-12), Operation("exp", expands=(("mac", 6),)))
    assert operation_energy(Compute("pe", 1, ops=ops), "exp") == pytest.approx(12e-12)
    unknown = (Operation("mac", 1), Operation("exp", expands=(("mac", 6),)))
    assert operation_energy(Compute("pe", 1, ops=unknown), "exp") is None


def test_every_number_that_an_energy_lacks_is_told_at_once():
    parts = (
        Memory("DRAM", technology="hbm2"),
        Memory("L3", "DRAM", technology="sram"),
        Memory("L2", "L3", read_energy_j=1e-12, write_energy_j=1e-12),
        Memory("L1", "L2"),
    )
    assert [problem.message for problem in find_lacks(Architecture("a", 1e9, parts))] == [
        "part 'DRAM' needs 'access' for its energy",
        "part 'L3' needs 'access' for its energy",
        "part 'L3' needs 'capacity' for its energy",
        "part 'L2' needs 'access' for its energy",
    ]
