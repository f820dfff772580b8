"""The front of machines holds what no other machine is better than, and a machine that spends its area better."""

from arch_specs.cost import chip_area
from simulator import library
from simulator.evaluate import evaluate
from simulator.search.codesign import codesign, front
from simulator.search.search import Options
from simulator.workload import Workload
from studies.codesign import chip_of

AXES = {"pe_dim": (256,), "vector_lanes": (64, 256), "buffer_mib": (1, 16), "banks": (1,)}


def test_a_smaller_chip_with_its_best_mapping_beats_the_published_one_when_ports_are_charged():
    workload = Workload.of(library.load_cascade("attention_1pass"), library.load_workload("bert"), M=16384)
    base = library.load_machine("fusemax")
    machines = list(codesign(workload, base, AXES, Options(accounting="ports", effort=60, polish=1), chip_of))
    published = evaluate(library.make_design(workload, base), "ports")
    costs = published.latency_s, published.energy_j, sum(chip_area(base).values())
    best = front(machines)
    assert len(machines) == 4
    assert any(all(a < b for a, b in zip(m.costs, costs, strict=True)) for m in best)
    for m in best:
        assert not any(
            o.costs != m.costs and all(a <= b for a, b in zip(o.costs, m.costs, strict=True)) for o in machines
        )
