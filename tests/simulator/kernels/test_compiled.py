"""A compiled design gives what the scalar path gives, whatever numbers change."""

import pytest

import attnsim
from einsum_cascades.diagnostics import MappingError, SpecError
from simulator.kernels.compiled import compile_design

CASES = [
    {"M": 4096, "pe1d.rows": 256, "L3.capacity": 2**24, "clock": 940e6, "mapping.queries": 1024},
    {"M": 16384, "pe1d.rows": 128, "L3.capacity": 2**23, "clock": 500e6, "mapping.queries": 4096},
    {"M": 4096, "pe1d.rows": 512, "L3.capacity": 2**16, "clock": 940e6, "mapping.queries": 4096},
    {"M": 1000, "pe1d.rows": 256, "L3.capacity": 2**24, "clock": 940e6, "mapping.queries": 1000},
]


@pytest.fixture(scope="module", params=["clean", "ports"])
def made(request):
    first = attnsim.design("attention_1pass", "fusemax", workload="bert", M=4096, accounting=request.param)
    return request.param, compile_design(first, list(CASES[0]), request.param)


@pytest.mark.parametrize("values", CASES)
def test_figures_are_those_of_the_report(made, values):
    accounting, compiled = made
    found = compiled.figures(values)
    settings = {name: value for name, value in values.items() if name != "M"}
    shape = {"workload": "bert", "M": values["M"], "settings": settings}
    try:
        report = attnsim.evaluate("attention_1pass", "fusemax", accounting=accounting, **shape)
    except MappingError as error:
        assert found == {"feasible": False, "why": str(error)}
        return
    assert found["feasible"]
    for name in ("latency_s", "ceiling_s", "energy_j", "traffic_bytes"):
        assert found[name] == pytest.approx(getattr(report, name), rel=1e-12)
    assert found["bound_by"] == report.bound_by
    for name, value in report.utilization.items():
        assert found[f"util_{name}"] == pytest.approx(value, rel=1e-12)


def test_some_designs_work_and_some_do_not(made):
    assert [made[1].figures(values)["feasible"] for values in CASES] == [True, True, False, False]


def test_every_number_that_varies_is_given_and_no_other(made):
    with pytest.raises(SpecError, match="the design varies in M, "):
        made[1].figures({"M": 4096})
    with pytest.raises(SpecError, match="'N' is no number of the design"):
        compile_design(made[1].design, ["N"])
