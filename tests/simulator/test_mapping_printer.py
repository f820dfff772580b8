"""A printed mapping is the mapping: reading it back gives equal values and equal costs."""

import dataclasses

import pytest

from einsum_cascades.diagnostics import Source
from einsum_cascades.registry import entries
from simulator import library
from simulator.design import Design
from simulator.evaluate import evaluate
from simulator.mapping_printer import print_mapping
from simulator.mapping_reader import each_option, read_mapping
from simulator.workload import Workload


def variants():
    for entry in entries("mappings"):
        template = library.load_mapping(entry.path)
        for choices in each_option(template.knobs):
            yield pytest.param(template, choices, id="-".join((entry.name, *choices.values())))


@pytest.mark.parametrize(("template", "choices"), list(variants()))
def test_reading_a_printed_mapping_gives_it_back(template, choices):
    mapping, binding = template.select(choices)
    text = print_mapping(mapping, binding, template.cascade, template.summary)
    again = read_mapping(Source("found.yaml", text), mapping.name)
    assert (again.summary, again.cascade) == (template.summary, template.cascade)
    plain = dataclasses.replace(mapping, knobs=tuple(k for k in mapping.knobs if k.kind != "choice"))
    assert again.select({}) == (plain, binding)
    assert print_mapping(*again.select({}), again.cascade, again.summary) == text


def test_a_printed_design_costs_the_same():
    workload = Workload.of(library.load_cascade("attention_1pass"), library.load_workload("bert"), M=4096)
    design = library.make_design(workload, library.load_machine("fusemax"))
    text = print_mapping(design.mapping, design.binding, "attention_1pass", "found")
    again = read_mapping(Source("found.yaml", text), "found")
    report = evaluate(Design(workload, design.architecture, *again.select({}), knobs=design.knobs))
    assert (report.latency_s, report.energy_j) == (evaluate(design).latency_s, evaluate(design).energy_j)
