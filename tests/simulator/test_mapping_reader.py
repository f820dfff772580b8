"""Reading a mapping: what it means, what merges over what, and each message whole."""

import pytest

from einsum_cascades.diagnostics import Source, SpecError
from einsum_cascades.registry import entries
from simulator.mapping import Loop
from simulator.mapping_reader import read_mapping, read_mapping_file

BASE = """\
summary: an example
cascade: toy
nests:
  pe: [{DRAM: [b, {p: rows}]}, {spatial: [p]}]
bind: {pe: [X, Y]}
keep: {X: {DRAM: [A]}}
groups:
  - iteration: [b]
"""


def read(text):
    return read_mapping(Source("m.yaml", text), "m")


def message(text):
    with pytest.raises(SpecError) as caught:
        read(text)
    return str(caught.value)


def test_a_mapping_reads_as_it_is_written():
    mapping, binding = read(BASE).select({})
    assert mapping.nests["pe"][0].loops == (Loop("b"), Loop("p", "rows"))
    assert mapping.nests["pe"][1].spatial
    assert binding.parts == {"X": "pe", "Y": "pe"}
    assert binding.keep == {"X": {"DRAM": ("A",)}}
    assert binding.groups[0].iteration == ("b",)


@pytest.mark.parametrize("entry", entries("mappings"), ids=lambda entry: entry.name)
def test_every_shipped_mapping_reads(entry):
    template = read_mapping_file(entry.path)
    assert template.name == entry.name
    assert template.summary == entry.summary


def test_like_merges_mappings_and_replaces_everything_else():
    def locate(name):
        return {"base": "base.yaml"}[name]

    child = "like: base\nbind: {pe: [X], vector: [Y]}\nkeep: {X: {L3: [A]}, Y: {DRAM: [B]}}\n"
    assert "cannot be read" in _like_error(child, locate)
    shipped = read("like: fusemax_binding\nkeep: {LM: {row_rf: []}, RM: {DRAM: [RM]}}\n")
    _, binding = shipped.select({})
    assert "LM" in binding.keep and not binding.keep["LM"]
    assert binding.keep["RM"] == {"L3": ("RM-", "RM"), "DRAM": ("RM",)}
    assert binding.parts["QK"] == "pe2d"


def _like_error(text, locate):
    with pytest.raises(SpecError) as caught:
        read_mapping(Source("m.yaml", text), "m", locate)
    return str(caught.value)


def test_like_itself_is_refused():
    assert _like_error("like: m\n", lambda name: name) == (
        "m.yaml:1:7: 'like' goes around in a circle: m -> m\n    like: m\n          ^"
    )


def test_variants_are_laid_over_the_rest():
    text = BASE + "knobs: {where: {choice: [near, far]}}\nvariants:\n  where:\n    far: {keep: {X: {L3: [A]}}}\n"
    template = read(text)
    assert template.select({"where": "near"})[1].keep == {"X": {"DRAM": ("A",)}}
    assert template.select({"where": "far"})[1].keep == {"X": {"DRAM": ("A",), "L3": ("A",)}}


def test_unknown_keys_at_every_depth_are_reported_together():
    wrong = BASE.replace("cascade: toy", "cascade: toy\nnest: {}").replace("- iteration: [b]", "- itration: [b]")
    assert message(wrong) == (
        "m.yaml:3:1: unknown key 'nest' in a mapping\n    nest: {}\n    ^^^^\n    did you mean 'nests'?\n"
        "m.yaml:9:5: unknown key 'itration' in a group\n      - itration: [b]\n        ^^^^^^^^\n"
        "    did you mean 'iteration'?"
    )


def test_an_einsum_that_is_bound_twice():
    assert message(BASE.replace("{pe: [X, Y]}", "{pe: [X, Y], vec: [Y]}")) == (
        "m.yaml:5:26: Y is bound to pe already\n    bind: {pe: [X, Y], vec: [Y]}\n                             ^"
    )


def test_a_loop_that_is_none():
    assert message(BASE.replace("{p: rows}", "{p: rows, q: 2}")) == (
        "m.yaml:4:19: a loop is a rank variable, or one rank variable with its tile\n"
        "      pe: [{DRAM: [b, {p: rows, q: 2}]}, {spatial: [p]}]\n                      ^\n    write e.g. '{p: 256}'"
    )


def test_a_knob_that_is_none():
    assert message(BASE + "knobs: {rows: {multiple_of: 4}}\n") == (
        "m.yaml:9:15: knob 'rows' needs one of 'tile', 'choice', 'resident'\n"
        "    knobs: {rows: {multiple_of: 4}}\n                  ^"
    )


def test_a_variant_of_no_knob():
    assert message(BASE + "variants: {where: {far: {}}}\n") == (
        "m.yaml:9:12: 'where' is no knob with a 'choice'\n    variants: {where: {far: {}}}\n               ^^^^^"
    )


def test_a_capacity_without_a_unit():
    assert message(BASE + "buffers: {L3: {capacity: 16}}\n") == (
        "m.yaml:9:26: 'capacity' needs a unit\n    buffers: {L3: {capacity: 16}}\n                             ^^\n"
        "    write e.g. '16 MiB'"
    )
