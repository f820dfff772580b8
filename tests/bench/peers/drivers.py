"""One evaluation by one tool, timed: `python drivers.py NAME B M` prints a line of JSON for each thing that was timed.

Runs in the environment of the tool it names, which has neither attnsim nor pytest. Seconds are of CPU, of the process
and of its children, without the import of the tool and without what comes before the evaluation. `first` is the first
run of the process, with what is loaded and compiled on use; `seconds` the median of those after it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import resource
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HEADS, HEAD = 12, 64  # heads, and the extent of a head
CLOCK_HZ = 0.94e9
CHIP = {"L3.capacity": "16 MiB", "DRAM.bandwidth": "400 GB/s"}

Rows = Iterator[dict[str, Any]]


def cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(work: Callable[[], Any], repeats: int = 1) -> tuple[dict[str, float], Any]:
    """Return the CPU seconds of the first call and the median of the calls that follow, and what the last returned."""
    taken = []
    for _ in range(1 + repeats):
        start = cpu_seconds()
        result = work()
        taken.append(cpu_seconds() - start)
    return {"first": taken[0], "seconds": statistics.median(taken[1:])}, result


def row(work: str, what: str, taken: dict[str, float], latency_s: float | None = None) -> dict[str, Any]:
    return {"work": work, "what": what, **taken, "latency_s": latency_s}


def accelforge(batch: int, length: int) -> Rows:
    """Three Einsums: the best mapping for latency, then the cost of that mapping alone."""
    import accelforge as af
    from accelforge.mapper.FFM import map_workload_to_arch
    from accelforge.model.main import evaluate_mapping

    af.set_n_parallel_jobs(1)
    files = [str(HERE / name) for name in ("accelforge_arch.yaml", "accelforge_attention.yaml")]
    spec = af.Spec.from_yaml(*files, jinja_parse_data={"B": batch, "M": length})
    spec.mapper.metrics = spec.model.metrics = af.Metrics.LATENCY
    # eval_in_detail would draw each mapping with graphviz, and cost it a second time
    taken, found = timed(lambda: map_workload_to_arch(spec, print_progress=False, eval_in_detail=False))
    yield row("search", "3 Einsums", taken, float(found.data.iloc[0]["Total<SEP>latency"]))
    spec.mapping = found.data.iloc[0]["Total<SEP>mapping"](_for_model=True)
    made = {"flattened_arches": found.flattened_arches, "evaluated_specs": found.evaluated_specs}
    taken, cost = timed(lambda: evaluate_mapping(spec, **made), 5)
    yield row("given", "3 Einsums", taken, float(cost.data.iloc[0]["Total<SEP>latency"]))


def zigzag(batch: int, length: int) -> Rows:
    """Two matrix products: one spatial and temporal mapping, then LOMA over both."""
    import yaml
    from zigzag.api import get_hardware_performance_zigzag

    links = {"O": "O", "W": "I2", "I": "I1"}
    spatial = {"QK": {"D1": ["M, 256"], "D2": [f"E, {HEAD}"]}, "AV": {"D1": [f"F, {HEAD}"], "D2": ["M, 256"]}}
    order = [["P", length], ["M", length // 256], ["G", batch * HEADS]]
    given = {"temporal_ordering": order}
    mappings = {
        "given": [
            {"name": n, "spatial_mapping": s, "memory_operand_links": links, **given} for n, s in spatial.items()
        ],
        "search": [{"name": name, "memory_operand_links": links} for name in spatial],
    }
    default = {"name": "default", "spatial_mapping": spatial["QK"], "memory_operand_links": links}
    for work, mapping in mappings.items():
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / name for name in ("work.yaml", "mapping.yaml")]
            for file, data in zip(files, (_zigzag_layers(batch, length), [*mapping, default]), strict=True):
                file.write_text(yaml.safe_dump(data, sort_keys=False))
            arch = str(HERE / "zigzag_arch.yaml")
            options = {"dump_folder": f"{folder}/out", "loma_show_progress_bar": False}
            call = lambda a=arch, f=files, o=options: get_hardware_performance_zigzag(str(f[0]), a, str(f[1]), **o)  # noqa: E731
            taken, (_, cycles, _) = timed(call, 5 if work == "given" else 1)
        yield row(work, "2 GEMMs", taken, cycles / CLOCK_HZ)


def _zigzag_layers(batch: int, length: int) -> list[dict[str, Any]]:
    common = {"G": batch * HEADS, "P": length, "M": length}
    bits = {"I": 16, "W": 16, "O": 16, "O_final": 16}
    layers = []
    for name, equation, extents in (
        ("QK", "O[g][p][m]+=I[g][p][e]*W[g][e][m]", {**common, "E": HEAD}),
        ("AV", "O[g][p][f]+=I[g][p][m]*W[g][m][f]", {**common, "F": HEAD}),
    ):
        layer = {"id": len(layers), "name": name, "operator_type": "Gemm", "equation": equation}
        layer |= {"loop_dims": list(extents), "loop_sizes": list(extents.values()), "operand_precision": bits}
        layers.append({**layer, "operand_source": {"I": 0, "W": len(layers)}})
    return layers


def genz(batch: int, length: int) -> Rows:
    """The two attention operators of a layer; the scores stay on chip."""
    from GenZ import System
    from GenZ.analyse_model import analysis_model
    from GenZ.Models import OpType, ResidencyInfo

    flops = 2 * 256 * 256 * CLOCK_HZ / 1e12
    system = System(flops=flops, onchip_mem_bw=1e6, on_chip_mem_size=16, offchip_mem_bw=400, frequency=940, bits="bf16")
    shape = [batch, HEADS, length, length, HEAD, HEADS]
    operators = [
        ["Logit", *shape, ResidencyInfo.C_onchip, OpType.Logit],
        ["Attend", *shape, ResidencyInfo.A_onchip, OpType.Attend],
    ]
    taken, table = timed(lambda: analysis_model([list(one) for one in operators], system), 5)
    yield row("given", "2 operators", taken, float(table["Latency (msec)"].sum()) / 1e3)


def stream(batch: int, length: int) -> Rows:
    """One head with a softmax on the tool's own FuseMax-like example, by the mapping that it makes itself."""
    import onnx
    import stream as package
    from stream.api import SolveOptions, evaluate_mapping

    def tensor(name: str, *extents: int) -> Any:
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT16, extents)

    nodes = [
        onnx.helper.make_node("MatMul", ["Q", "K"], ["scores"], name="product"),
        onnx.helper.make_node("Softmax", ["scores"], ["weights"], name="softmax", axis=-1),
        onnx.helper.make_node("MatMul", ["weights", "V"], ["out"], name="sum"),
    ]
    inputs = [tensor("Q", length, HEAD), tensor("K", HEAD, length), tensor("V", length, HEAD)]
    between = [tensor("scores", length, length), tensor("weights", length, length)]
    graph = onnx.helper.make_graph(nodes, "attention", inputs, [tensor("out", length, HEAD)], value_info=between)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    arch = str(Path(package.__file__).parent / "inputs/examples/hardware/fusemax.yaml")
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, f"{folder}/attention.onnx")
        quiet = SolveOptions(artifacts=False)
        call = lambda: evaluate_mapping(arch, f"{folder}/attention.onnx", f"{folder}/out", options=quiet)  # noqa: E731
        taken, cost = timed(call)
    yield row("search", f"1 head of {batch * HEADS}", taken, cost.cycles / CLOCK_HZ)


def attnsim(batch: int, length: int) -> Rows:
    """The same three Einsums one after another, by one mapping and by the best of several; then a whole softmax."""
    import attnsim as ours

    extents = {"B": batch, "H": HEADS, "E": HEAD, "F": HEAD, "M": length, "P": length}
    cascade = ours.load(HERE / "attention_copy.cascade")
    serial = {"mapping": str(HERE / "attention_serial.yaml"), **extents}
    taken, report = timed(lambda: ours.evaluate(ours.design(cascade, "flat", settings=CHIP, **serial)))
    yield row("block", "3 Einsums, best block of query rows", taken, report.latency_s)
    made = ours.design(cascade, "flat", settings=CHIP, **serial)
    taken, report = timed(lambda: ours.evaluate(made), 5)
    yield row("given", "3 Einsums, one design", taken, report.latency_s)
    yield _compiled(made)
    rows = str(1024 if length == 1024 else 128)
    yield from _swept(cascade, serial, {"mapping.rows": [rows]}, ("given-sweep", "3 Einsums, in a sweep"))
    yield from _swept(cascade, serial, {}, ("block-sweep", "3 Einsums, best block, in a sweep"))
    yield from _searched(cascade, extents)
    whole = ours.design("attention_1pass", "fusemax", workload="bert", B=batch, M=length)
    taken, report = timed(lambda: ours.evaluate(whole), 5)
    yield row("whole", "attention_1pass, one design", taken, report.latency_s)


def _compiled(made: Any) -> dict[str, Any]:
    """Time one design at a time through its compiled terms: a new clock and capacity at each call."""
    names = ("given-compiled", "3 Einsums, one design, compiled terms")
    try:
        from simulator.kernels.compiled import compile_design
    except ImportError as error:
        return {"work": names[0], "what": names[1], "why": str(error)}
    compiled = compile_design(made, ["clock", "L3.capacity"])
    sizes = [2**20 * mib for mib in range(16, 20)]  # what a memory of each costs is looked up once
    machines = [{"clock": 1e6 * mhz, "L3.capacity": size} for mhz in range(500, 3000) for size in sizes]
    compiled.figures(machines[0])
    start = cpu_seconds()
    for numbers in machines:
        compiled.figures(numbers)
    return row(*names, {"seconds": (cpu_seconds() - start) / len(machines)})


def _swept(cascade: Any, serial: dict[str, Any], knobs: dict[str, Any], names: tuple[str, str]) -> Rows:
    """Time a design of a sweep over machines; its first block, in which things are prepared, does not count."""
    from simulator import library
    from simulator.workload import Workload

    try:
        from simulator.sweep.run import Sweep
        from simulator.sweep.space import make_space
    except ImportError as error:
        yield {"work": names[0], "what": names[1], "why": str(error)}
        return

    extents = {name: value for name, value in serial.items() if name != "mapping"}
    machine = library.load_machine("flat")
    for name, value in CHIP.items():
        machine = machine.replace(name, value)
    axes = {"clock": [1e6 * mhz for mhz in range(500, 1500, 10)], **knobs}
    axes["L3.capacity"] = [2**20 * mib for mib in range(16, 56)]
    axes["DRAM.bandwidth"] = [1e9 * gb for gb in range(200, 1000, 10)]
    shaped = Workload.of(cascade, **extents)
    blocks = Sweep(make_space(shaped, machine, axes, library.load_mapping(serial["mapping"]))).blocks()
    next(blocks)
    start = cpu_seconds()
    designs = sum(len(block["feasible"]) for block in blocks)
    yield row(*names, {"seconds": (cpu_seconds() - start) / designs})


def _searched(cascade: Any, extents: dict[str, int]) -> Rows:
    """Time the search of all mappings, in versions that have one."""
    from simulator import library
    from simulator.workload import Workload

    names = ("search", "3 Einsums, all mappings")
    try:
        from simulator.search.search import Options, search
    except ImportError as error:
        yield {"work": names[0], "what": names[1], "why": str(error)}
        return
    machine = library.load_machine("flat")
    for name, value in CHIP.items():
        machine = machine.replace(name, value)
    options = Options("latency", "clean", cycles_per_point={"A": 1})
    taken, found = timed(lambda: search(Workload.of(cascade, **extents), machine, options, lambda _: None))
    yield row(*names, taken, found.report.latency_s)


DRIVERS = {driver.__name__: driver for driver in (accelforge, zigzag, genz, stream, attnsim)}


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    name, batch, length = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):  # some tools print as they go
        rows = DRIVERS[name](int(batch), int(length))
        for one in rows:
            sys.__stdout__.write(json.dumps(one) + "\n")
            sys.__stdout__.flush()


if __name__ == "__main__":
    main()
