"""Each way in which legal parts cannot work together has one message, compared whole."""

import pytest

from arch_specs.model import Architecture
from einsum_cascades.diagnostics import MappingError, Source, SpecError
from einsum_cascades.parser import parse
from simulator import library
from simulator.evaluate import evaluate
from simulator.mapping_reader import read_mapping
from simulator.workload import Workload

CASCADE = """
cascade row_softmax                     # softmax over the keys of one query
extent P, M
input  X[M,P]
output A[M,P]
GM[p]   = X[m,p] :: max
SN[m,p] = exp(X[m,p] - GM[p])
SD[p]   = SN[m,p]
A[m,p]  = SN[m,p] / SD[p]
"""
MAPPING = """
summary: one row at a time
cascade: row_softmax
nests:
  pe1d:
    - DRAM: [p]
    - L3: [{m: pe1d.rows}]
    - spatial: [m]
bind: {pe1d: [GM, SN, SD, A]}
keep:
  GM: {DRAM: [X], L3: [X]}
  SN: {L3: [X, SN]}
  A: {DRAM: [A], L3: [SN]}
groups:
  - iteration: [p]
"""


def evaluated(mapping=MAPPING, cascade=CASCADE, arch="flat", settings=None, **extents):
    workload = Workload.of(parse(cascade), **({"P": 8, "M": 1024} | extents))
    machine = arch if isinstance(arch, Architecture) else library.load_machine(arch)
    template = read_mapping(Source("rows.yaml", mapping), "rows")
    return evaluate(library.make_design(workload, machine, template, settings))


def message(*args, **kwargs):
    with pytest.raises((MappingError, SpecError)) as caught:
        evaluated(*args, **kwargs)
    return str(caught.value)


def test_the_example_itself_works():
    report = evaluated()
    cycles = 8 * (1024 // 256) * (1 + 2 + 1 + 1)
    assert report.latency_s == pytest.approx(cycles / 940e6, rel=1e-12)


def test_a_part_that_lacks_the_operation():
    wrong = MAPPING.replace("pe1d: [GM, SN, SD, A]}", "pe1d: [GM, SD, A], pe2d: [SN]}").replace(
        "  pe1d:\n    - DRAM", "  pe2d:\n    - DRAM: [p]\n    - L3: [{m: 256}]\n    - spatial: [m]\n  pe1d:\n    - DRAM"
    )
    assert message(wrong) == "SN needs 'exp'; part pe2d does mac - bind it to pe1d"


def test_an_operation_that_no_part_has():
    cascade = CASCADE.replace("exp(", "tanh(")
    assert message(cascade=cascade) == (
        "SN needs 'tanh'; part pe1d does mac, max, add, exp, div - no part of the machine has 'tanh'"
    )


def test_an_extent_that_does_not_divide():
    assert message(M=1000) == "GM: m advances in tiles of 256, which do not divide 1000 (extent M=1000)"


def test_a_missing_extent():
    with pytest.raises(SpecError) as caught:
        evaluate(
            library.make_design(
                Workload.of(parse(CASCADE), P=8),
                library.load_machine("flat"),
                read_mapping(Source("rows.yaml", MAPPING), "rows"),
            )
        )
    assert str(caught.value) == "row_softmax needs the extent M\n    give M=..."


def test_an_extent_that_the_cascade_lacks():
    assert message(PP=3) == "'PP' is not an extent of row_softmax\n    did you mean 'P'?"


def test_a_partition_that_does_not_divide():
    workload = Workload.of(library.load_cascade("attention_1pass"), library.load_workload("bert"), M=300)
    with pytest.raises(MappingError) as caught:
        library.make_design(workload, library.load_machine("fusemax"))
    assert str(caught.value) == (
        "extent M=300 does not divide into tiles of M0=256: choose a multiple of 256, or set M0"
    )


def test_a_preset_that_leaves_an_extent_open():
    workload = Workload.of(library.load_cascade("attention_1pass"), library.load_workload("bert"))
    with pytest.raises(SpecError) as caught:
        library.make_design(workload, library.load_machine("fusemax"))
    assert str(caught.value) == "the workload leaves M open\n    give M=..."


def test_a_nest_without_an_innermost_loop():
    wrong = MAPPING.replace("- spatial: [m]", "- spatial: []")
    assert message(wrong) == "GM: its nest has no innermost loop over m"


def test_spatial_loops_that_are_wider_than_the_part():
    wrong = MAPPING.replace("{m: pe1d.rows}", "{m: 512}")
    assert message(wrong) == "GM: spatial m:512 needs 512 lanes; part pe1d has 256"


def test_spatial_loops_that_fit_in_number_but_not_in_shape():
    wrong = MAPPING.replace("pe1d", "pe2d").replace("{m: pe2d.rows}", "{m: 1024}")
    assert message(wrong) == "GM: spatial m:1024 is wider than part pe2d (256 x 256)"


def test_a_level_that_the_machine_lacks():
    assert message(MAPPING.replace("- L3: [{m", "- L2: [{m")) == (
        "mapping rows: level 'L2' of nest pe1d is not a memory of flat (DRAM, L3)"
    )


def test_a_memory_that_is_no_level_of_the_nest():
    assert message(MAPPING.replace("SN: {L3: [X, SN]}", "SN: {row_rf: [X, SN]}")) == (
        "SN keeps tensors in row_rf, which is not a level of its nest"
    )


def test_a_tensor_that_the_einsum_does_not_touch():
    assert message(MAPPING.replace("SN: {L3: [X, SN]}", "SN: {L3: [SD]}")) == (
        "L3 keeps 'SD' for SN, which touches X, GM, SN only"
    )


def test_an_einsum_that_the_cascade_lacks():
    # The mapping is for another cascade of the same name, so the Einsum is what is named.
    assert message(MAPPING.replace("  A: {DRAM", "  AA: {DRAM")) == (
        "mapping rows: it names Einsum 'AA', which row_softmax does not have; did you mean 'A'?"
    )


def test_an_einsum_bound_to_no_part():
    assert message(MAPPING.replace("[GM, SN, SD, A]", "[GM, SN, SD]")) == (
        "mapping rows binds A to no part: name it under 'bind'"
    )


def test_an_einsum_bound_to_a_part_that_is_not_there():
    assert message(MAPPING.replace("bind: {pe1d: [GM, SN, SD, A]}", "bind: {pe1e: [GM, SN, SD, A]}")) == (
        "mapping rows binds GM to 'pe1e': flat has no part 'pe1e'\n    did you mean 'pe1d'?"
    )


def test_an_einsum_bound_to_a_memory():
    assert message(MAPPING.replace("bind: {pe1d: [GM, SN, SD, A]}", "bind: {L3: [GM, SN, SD, A]}")) == (
        "mapping rows binds GM to L3, which does not compute"
    )


def test_einsums_in_two_groups():
    wrong = MAPPING.replace("  - iteration: [p]", "  - {iteration: [p], einsums: [GM]}\n  - iteration: [p]")
    assert message(wrong) == "mapping rows runs GM in two groups"


def test_einsums_in_no_group():
    wrong = MAPPING.replace("- iteration: [p]", "- {iteration: [p], einsums: [GM, SN]}")
    assert message(wrong) == "mapping rows runs SD, A in no group"


def test_a_second_pass_inside_one_group():
    wrong = MAPPING.replace("- iteration: [p]", "- iteration: [p, m]")
    assert message(wrong) == (
        "SN goes over m again after GM has reduced it: that is another pass; put them in different groups or take m "
        "out of 'iteration'"
    )


def test_phases_against_the_dependences():
    wrong = MAPPING.replace("- iteration: [p]", "- {iteration: [p], phases: [[SN, GM], [SD, A]]}")
    assert message(wrong) == "the order of work cannot start: SN -> GM -> SN wait for each other in one iteration"


def test_a_stage_that_needs_the_future():
    wrong = MAPPING.replace("- iteration: [p]", "- {iteration: [p], stage: {GM: 1}}")
    assert message(wrong) == "SN needs GM of a later iteration: check the stages"


def test_tiles_that_do_not_fit():
    assert message(M=2**24) == (
        "mapping rows needs 67,108,864 bytes of L3, which has 33,554,432 (too much by 33,554,432; largest: "
        "SN 33,554,432, X 33,554,432)"
    )


def test_a_setting_of_no_part_and_of_no_knob():
    assert message(settings={"pe1dd.rows": 4}) == "flat has no part 'pe1dd'\n    did you mean 'pe1d'?"
    assert message(settings={"mapping.rows": 4}) == "mapping rows has no knob 'rows'"


def test_an_iterative_rank_that_the_group_does_not_iterate():
    design = library.make_design(
        Workload.of(library.load_cascade("attention_1pass"), library.load_workload("bert"), M=4096),
        library.load_machine("fusemax"),
    )
    text = (
        (library.locate("mappings", "fusemax_binding"))
        .read_text()
        .replace("iteration: [b, h, p, m1]", "iteration: [b, h, p]")
    )
    template = read_mapping(Source("changed.yaml", text), "changed")
    with pytest.raises(MappingError) as caught:
        evaluate(library.make_design(design.workload, design.architecture, template))
    assert str(caught.value) == "RM reads an earlier generation of RM, so m1 must be in 'iteration'"


def test_a_machine_without_a_mapping_says_what_finds_one():
    machine = Architecture("mychip", 1e9)
    with pytest.raises(MappingError) as caught:
        library.own_template(machine)
    assert str(caught.value) == (
        "mychip names no mapping of its own: choose one with --mapping; "
        "'attnsim search CASCADE ARCH --save FILE' finds one"
    )
