"""Machines of other tools: what both say is the same number, what we have no place for is named."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from arch_specs.foreign.importer import import_machine
from arch_specs.foreign.tags import find_number
from arch_specs.load import read_architecture
from arch_specs.printer import print_architecture
from einsum_cascades.diagnostics import Source, SpecError
from studies.cli import main

ACCELFORGE = """
arch:
  nodes:
  - !Memory
    name: Main
    size: inf
    actions:
    - {name: read, energy: 5e-12, latency: 1 / (8 * 600e9)}
    - {name: write, energy: 6e-12, throughput: 4800e9}
    tensors: {keep: ~Intermediates}
  - !Memory {name: Buffer, size: 1024*1024*4*8, spatial: [{name: Z, fanout: 2}], actions: []}
  - !Compute {name: Vector, actions: [{name: compute, energy: 0, latency: 1 / 1e9 / 64}]}
  - !Container {name: PE, spatial: [{name: X, fanout: 128}, {name: Y, fanout: 32}]}
  - !Compute {name: MAC, actions: [{name: compute, energy: 1e-13, latency: 1 / 1e9}], enabled: len(All) == 3}
"""
TIMELOOP = """
architecture:
  version: 0.4
  nodes:
  - !Container {name: system, attributes: {global_cycle_seconds: 1e-9, technology: "45nm"}}
  - !Component {name: DRAM, class: DRAM, attributes: {width: 64, datawidth: 16, shared_bandwidth: 32}}
  - !Component
    name: glb
    class: smartbuffer_sram
    attributes: {width: 64, depth: 16384, datawidth: 16, read_bandwidth: 4}
  - !Container {name: PE, spatial: {meshX: 14, meshY: 12}}
  - !Component {name: mac, class: intmac, attributes: {multiplier_width: 8}}
"""


def test_accelforge_bits_and_seconds_become_bytes_and_rates() -> None:
    found = import_machine(Source("tpu.yaml", ACCELFORGE), "tpu")
    arch = found.architecture
    assert arch.value("Main.read_bytes_per_s") == arch.value("Main.write_bytes_per_s") == 600e9
    assert arch.value("Main.read_energy_j") == pytest.approx(40e-12)
    assert arch.value("Buffer.capacity_bytes") == 2 * 4 * 1024 * 1024
    assert [part.lanes for part in arch.computes] == [128, 2 * 128 * 32]
    assert arch.clock_hz == 1e9
    assert found.left_out == ("Main.tensors", "MAC.enabled")


def test_timeloop_words_a_cycle_become_bytes_a_second() -> None:
    found = import_machine(Source("eyeriss.yaml", TIMELOOP), "eyeriss")
    arch = found.architecture
    assert arch.value("DRAM.bandwidth_bytes_per_s") == 64e9
    assert arch.value("glb.capacity_bytes") == 128 * 1024
    assert arch.value("glb.read_bytes_per_s") == 8e9
    assert [(part.rows, part.cols) for part in arch.computes] == [(14, 12)]
    assert found.left_out == ("mac.attributes.multiplier_width",)


@pytest.mark.parametrize("text", [ACCELFORGE, TIMELOOP], ids=["accelforge", "timeloop"])
def test_what_is_imported_prints_as_a_file_that_reads_back(text: str) -> None:
    arch = import_machine(Source("x.yaml", text), "x").architecture
    assert read_architecture(Source("ours.yaml", print_architecture(arch))) == arch


def test_arithmetic_is_worked_out_and_nothing_else_is_run() -> None:
    assert find_number("1 / (8 * 614e9)") == 1 / (8 * 614e9)
    for text in ("__import__('os')", "max(1, 2)", "x + 1", "1 if 1 else 2", "9**9**9**9", "1/0", "inf"):
        assert find_number(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arch: {nodes: [{% if x %}]}", "is a template"),
        ("parts: {}", "no machine that can be imported"),
        ("arch: {nodes: []}", "has no compute node"),
        ("arch: {nodes: [", "is not YAML"),
        ("architecture: {nodes: [!Component {name: m, class: mac}]}", "how long a cycle is"),
    ],
)
def test_what_cannot_be_imported_says_why(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        import_machine(Source("x.yaml", text), "x")


def test_the_command_writes_the_file_and_lists_what_it_left_out(tmp_path: Path) -> None:
    (tmp_path / "tpu.yaml").write_text(ACCELFORGE, encoding="utf-8")
    out = tmp_path / "ours.yaml"
    run = CliRunner().invoke(main, ["import", str(tmp_path / "tpu.yaml"), "--out", str(out)])
    assert run.exit_code == 0, run.output
    assert "not imported: MAC.enabled" in run.stderr
    assert str(tmp_path) not in out.read_text(encoding="utf-8")
    assert CliRunner().invoke(main, ["check", str(out)]).exit_code == 0
