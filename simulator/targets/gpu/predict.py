"""The prediction of one attention call on one card: time with its bracket and interval, what bounds it, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from arch_specs.gpu import Gpu
from arch_specs.load_gpu import load_gpu
from einsum_cascades.diagnostics import AttnsimError, MappingError
from simulator.targets.gpu import columns as c
from simulator.targets.gpu.aliases import find_kernel, kernels_for, passes_of
from simulator.targets.gpu.calibration import Calibration, load_calibration, shipped_calibration
from simulator.targets.gpu.energy import estimate_energy
from simulator.targets.gpu.explain import bound_by, classify, explain, terms_of
from simulator.targets.gpu.kernel import Kernel
from simulator.targets.gpu.problem import Problem
from simulator.targets.gpu.row import run_requests
from simulator.targets.gpu.setup import Variant, family_of, prepare

__all__ = ["Prediction", "add_outcomes", "as_calibration", "predict", "setup_of", "variant_of"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One call: seconds, joules, FLOP/s by convention, and where the time goes.

    `bracket_s` holds the time with perfect and with no overlap, `interval_s` where 80 % of measurements fall,
    `latency_spec_only_s` the estimate from the data sheet alone; `terms` add up to `latency_s`.
    """

    gpu: str
    kernel: str
    latency_s: float
    latency_spec_only_s: float
    bracket_s: tuple[float, float]
    interval_s: tuple[float, float]
    flop_per_s: float
    bound_by: str
    regime: str
    why: str
    terms: Mapping[str, float]
    energy_j: float
    energy_extrapolated: bool
    uncertain: tuple[str, ...]


def predict(
    problem: Problem,
    kernel: str | Kernel | None,
    gpu: str | Gpu,
    calibration: Calibration | str | Path | None = "shipped",
    level: str = "T2",
) -> Prediction:
    """Return the prediction of an attention call; without a kernel, of the fastest that the card has.

    `calibration` is a value, a file, "shipped", or None for the data sheet alone; `level` as in `prepare`. Raises
    MappingError where the kernel cannot run it.

    >>> call = Problem(batch=1, q_heads=16, kv_heads=16, q_len=16384, kv_len=16384)
    >>> 400e12 < predict(call, "fa3", "h100_sxm").flop_per_s < 800e12
    True
    """
    problem = problem.completed()
    card = load_gpu(gpu) if isinstance(gpu, str) else gpu
    numbers = as_calibration(calibration)
    level = "T0" if calibration is None else level
    if kernel is None:
        chosen = choose_kernel(problem, card, numbers, level)
    else:
        chosen = find_kernel(kernel, card, problem.pass_, problem.op) if isinstance(kernel, str) else kernel
    out, family = run_kernel(problem, chosen, card, numbers, level)
    spec, _ = run_kernel(problem, chosen, card, numbers, "T0")
    regime = classify(out)
    low, high = numbers.interval(family if level == "T2" else "", regime)
    energy, extrapolated = estimate_energy(out, card, problem.timing, numbers)
    return Prediction(
        gpu=card.name,
        kernel=chosen.name,
        latency_s=out[c.LATENCY],
        latency_spec_only_s=spec[c.LATENCY],
        bracket_s=(out[c.LOW], out[c.HIGH]),
        interval_s=(out[c.LATENCY] * low, out[c.LATENCY] * high),
        flop_per_s=problem.flop() / out[c.LATENCY],
        bound_by=bound_by(out),
        regime=regime,
        why=explain(out),
        terms=terms_of(out),
        energy_j=energy,
        energy_extrapolated=extrapolated,
        uncertain=tuple(sorted(card.uncertain)),
    )


def as_calibration(calibration: Calibration | str | Path | None) -> Calibration:
    """Return the calibration that a value, a file name, "shipped" or None (its numbers set by hand) means."""
    if calibration is None or calibration == "shipped":
        return shipped_calibration()
    return calibration if isinstance(calibration, Calibration) else load_calibration(calibration)


def variant_of(problem: Problem, pass_: str) -> Variant:
    """Return what of a completed problem decides how a kernel runs one of its passes."""
    return Variant(
        pass_, problem.dtype, problem.kv_dtype, problem.head_dim, problem.v_head_dim, problem.causal,
        problem.window > 0, problem.timing, problem.clock_hz, problem.op,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def setup_of(variant: Variant, kernel: Kernel, gpu: Gpu, numbers: Calibration, level: str) -> list[float]:
    """Return the setup of a kernel on a card, kept for the next call; MappingError as in `prepare`."""
    return prepare(variant, kernel, gpu, numbers, level)


def run_kernel(problem: Problem, kernel: Kernel, gpu: Gpu, numbers: Calibration, level: str) -> tuple[list[float], str]:
    """Return the outcome of a completed problem under a kernel, and the family whose constants it has."""
    outcomes = []
    family = ""
    for pass_ in passes_of(problem.pass_):
        variant = variant_of(problem, pass_)
        setup = setup_of(variant, kernel, gpu, numbers, level)
        family = family or family_of(variant, kernel, gpu, numbers, level)
        outcomes.append(run_requests(problem, setup))
    return (outcomes[0] if len(outcomes) == 1 else add_outcomes(*outcomes)), family


def add_outcomes(first: list[float], second: list[float]) -> list[float]:
    """Return the outcome of two calls, one after the other; pipe and shares are those of the longer."""
    longer = first if first[c.LATENCY] >= second[c.LATENCY] else second
    return [a + b if i <= c.MEMORY else longer[i] for i, (a, b) in enumerate(zip(first, second, strict=True))]


def choose_kernel(problem: Problem, gpu: Gpu, numbers: Calibration, level: str) -> Kernel:
    """Return the kernel with the least latency among those of a card that are no serving operators; MappingError."""
    best: tuple[float, Kernel] | None = None
    reasons = []
    for kernel in kernels_for(gpu, problem.pass_, problem.op):
        if kernel.boundary != "none":
            continue
        try:
            latency = run_kernel(problem, kernel, gpu, numbers, level)[0][c.LATENCY]
        except AttnsimError as error:
            reasons.append(str(error))
            continue
        if best is None or latency < best[0]:
            best = latency, kernel
    if best is None:
        raise MappingError(
            f"no kernel for {problem.op} {problem.pass_} on {gpu.name}" + "".join(f"\n    {r}" for r in reasons)
        )
    return best[1]
