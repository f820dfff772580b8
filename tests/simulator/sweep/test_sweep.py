"""A sweep is a table of designs, whichever way they are evaluated."""

from dataclasses import replace

import numpy as np
import pytest

import attnsim
from einsum_cascades.diagnostics import SpecError
from simulator import library
from simulator.accounting import find_accounting
from simulator.evaluate import evaluate
from simulator.plan import plan
from simulator.sweep.run import Sweep
from simulator.sweep.scalar import as_table, scalar_rows
from simulator.sweep.space import make_space
from simulator.workload import Workload


def space(axes, cascade="attention_1pass", arch="fusemax", mapping=None, **extents):
    workload = Workload.of(library.load_cascade(cascade), library.load_workload("bert"), **extents)
    template = library.load_mapping(mapping) if mapping else None
    return make_space(workload, library.load_machine(arch), axes, template)


def test_blocks_are_the_table_cut_in_pieces():
    sweep = Sweep(space({"M": "2^10..2^20", "pe2d.rows": "64..512:64"}))
    whole = sweep.table(0, 88)
    parts = [sweep.table(0, 30), sweep.table(30, 31), sweep.table(31, 88)]
    for name, column in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), column)


def test_knobs_are_chosen_as_the_planner_chooses_them():
    sweep = Sweep(space({"M": "2^10..2^20", "E": [32, 128]}))
    table = sweep.table(0, sweep.space.points)
    for row in range(0, sweep.space.points, 5):
        extents = {"M": int(table["M"][row]), "E": int(table["E"][row])}
        shaped = replace(sweep.space.workload, extents={**sweep.space.workload.extents, **extents})
        design = plan(shaped, sweep.space.architecture, sweep.space.template)
        assert table["mapping.queries"][row] == design.knobs["queries"]


def test_structures_are_tried_like_tiles():
    # 64 structures of FLAT (tensors kept x scores x order of loops), and tiles in each.
    given = space({"M": "2^10..2^13", "L3.capacity": "256KiB..128MiB:x2"}, "attention_3pass", "flat")
    sweep = Sweep(given)
    assert sweep.vector is not None
    assert len(sweep.vector.structures) == 64
    numbers = np.array([7, 22])
    ours, theirs = sweep.vector.table(numbers), as_table(given, scalar_rows(given, numbers))
    for name in ("mapping.rows", "mapping.resident", "mapping.scores", "mapping.stationary", "why", "bound_by"):
        assert ours[name].tolist() == theirs[name].tolist()
    np.testing.assert_allclose(ours["latency_s"], theirs["latency_s"], rtol=1e-12)


def test_few_designs_of_many_structures_go_one_by_one():
    assert Sweep(space({"M": [1024]}, "attention_3pass", "flat")).vector is None


def test_both_paths_give_the_same_columns_of_the_same_types():
    given = space({"M": [1024, 1000], "L3.capacity": ["64 KiB", "16 MiB"]})
    sweep = Sweep(given)
    ours, theirs = sweep.table(0, 4), as_table(given, scalar_rows(given, np.arange(4)))
    assert [(n, c.dtype) for n, c in ours.items()] == [(n, c.dtype) for n, c in theirs.items()]
    assert ours["why"].tolist() == theirs["why"].tolist()
    assert ours["feasible"].tolist() == [False, True, False, False]


def test_energy_follows_the_memory_that_an_axis_changes():
    table = attnsim.sweep("attention_1pass", "fusemax", {"L3.banks": [1, 4], "M": [4096]}, workload="bert")
    one = attnsim.evaluate("attention_1pass", "fusemax", workload="bert", M=4096, settings={"L3.banks": 4})
    assert table.energy_j[1] == pytest.approx(one.energy_j, rel=1e-12)
    assert table.energy_j[0] != table.energy_j[1]


def test_axes_may_be_texts_in_the_facade_too():
    table = attnsim.sweep("attention_1pass", "fusemax", {"M": "2^10..2^12"}, workload="bert", accounting="ports")
    assert table.M.tolist() == [1024, 2048, 4096]
    assert table["mapping.queries"].tolist() == [1024, 2048, 4096]
    assert (table.util_L3 > 0).all()


def test_an_extent_that_nobody_gives_is_told_first():
    with pytest.raises(SpecError, match="leaves M open"):
        space({"pe2d.rows": [64]})


def test_a_sweep_without_axes_is_one_design():
    sweep = Sweep(space({}, M=4096))
    assert sweep.space.points == 1
    assert sweep.table(0, 1)["feasible"].tolist() == [True]


def in_cycles(axes, cascade="attention_1pass", arch="fusemax", mapping=None):
    return replace(space(axes, cascade, arch, mapping), method="cycle")


@pytest.mark.parametrize(
    ("axes", "cascade", "arch", "mapping"),
    [
        ({"M": [1024, 1000, 4096], "L3.capacity": ["64 KiB", "16 MiB"]}, "attention_1pass", "fusemax", None),
        ({"M": [1024, 2048], "mapping.queries": [256, 1024]}, "attention_1pass", "fusemax", "fusemax_arch"),
        ({"M": [1024], "mapping.resident": ["Q+K", "none"]}, "attention_3pass", "flat", None),
    ],
)
def test_a_row_in_cycles_is_the_run_of_its_design(axes, cascade, arch, mapping):
    given = in_cycles(axes, cascade, arch, mapping)
    table = Sweep(given).table(0, given.points)
    single = as_table(given, scalar_rows(given, np.arange(given.points)))
    assert table["feasible"].any()
    for name, column in single.items():
        assert column.dtype == table[name].dtype, name
        np.testing.assert_array_equal(table[name], column, err_msg=name)


def test_a_run_is_never_faster_than_the_bound():
    given = in_cycles({"M": "2^10..2^14", "pe1d.rows": [128, 256]})
    table = Sweep(given).table(0, given.points)
    bound = Sweep(replace(given, method="bound")).table(0, given.points)
    assert (table["latency_s"] >= table["ceiling_s"]).all()
    assert (table["latency_s"] > bound["latency_s"] * (1 - 1e-12)).all()
    assert (table["latency_s"] != bound["latency_s"]).any()
    np.testing.assert_allclose(table["energy_j"], bound["energy_j"], rtol=1e-12)


def test_the_facade_sweeps_in_cycles():
    table = attnsim.sweep("attention_1pass", "fusemax", {"M": [1024]}, workload="bert", method="cycle")
    report = attnsim.evaluate("attention_1pass", "fusemax", workload="bert", method="cycle", M=1024)
    assert table.latency_s[0] == report.latency_s


def test_knobs_are_chosen_with_ports_charged_on_both_paths():
    free = space({"M": "2^10..2^15", "L3.capacity": "1MiB..32MiB:x2"}, "attention_3pass", "flat")
    charged = replace(free, accounting=find_accounting("ports"))
    sweep = Sweep(charged)
    assert sweep.vector is not None
    numbers = np.array([4, 11, 23])
    ours, theirs = sweep.vector.table(numbers), as_table(charged, scalar_rows(charged, numbers))
    for name in ("mapping.rows", "mapping.resident", "mapping.scores", "mapping.stationary"):
        assert ours[name].tolist() == theirs[name].tolist()
    np.testing.assert_allclose(ours["latency_s"], theirs["latency_s"], rtol=1e-12)


def test_a_design_planned_with_ports_charged_is_no_slower_with_them_than_one_planned_without():
    shape = {"workload": "bert", "mapping": "flat", "M": 4096}
    planned = attnsim.evaluate("attention_3pass", "flat", accounting="ports", **shape)
    other = evaluate(attnsim.design("attention_3pass", "flat", **shape), "ports")
    assert planned.latency_s < 0.8 * other.latency_s
