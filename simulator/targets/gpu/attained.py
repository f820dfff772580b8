"""The clocks of a KV step in closed form: what the engine attains on the graphs of `pipelines`."""

from __future__ import annotations

from functools import reduce
from typing import Any

from simulator.targets.gpu.pipelines import Phases, Sharing, Structure

__all__ = ["attained_step", "step_chain"]


def step_chain(phases: Phases, structure: Structure, signal: Any = 0) -> Any:
    """Return the longest recurrence of one instance, in clocks per step: RecMII of its graph.

    `in_order`: every phase after the other. `ping_pong`: scores and softmax; the output of the step before is hidden.
    `two_tiles`: scores, softmax, output, with a `signal` at each hand-over between the tensor cores
    and the softmax warps.

    >>> from fractions import Fraction
    >>> one = Phases(*map(Fraction, (8, 0, 1, 4, 2, 1, 8, 0)))
    >>> [int(step_chain(one, structure)) for structure in ("in_order", "ping_pong", "two_tiles")]
    [22, 13, 21]
    """
    qk, pv = _most(phases.qk, phases.qk_smem), _most(phases.pv, phases.pv_smem)
    soft, lead = _most(phases.exponential, phases.arithmetic), phases.maximum
    match structure:
        case "in_order":
            return qk + lead + phases.rescale + soft + pv
        case "ping_pong":
            return _most(qk + signal + lead + _most(soft, phases.rescale), pv + phases.rescale)
        case "two_tiles":
            # The accumulator is rescaled by other warps, beside the exponentials.
            through = qk + signal + lead + _most(soft, phases.rescale + signal) + signal + pv
            return _most(through, pv + signal + phases.rescale + signal)


def attained_step(
    phases: Phases, structure: Structure, instances: int, sharing: Sharing = "greedy", signal: Any = 0
) -> Any:
    """Return the clocks in which each of `instances` on an SM makes one step.

    Where a pipe serves one instance at a time it is max(ResMII, RecMII): the busiest pipe with the work of all, or the
    recurrence of one. Where equal instances share the pipes evenly they stay in step with each other, and nothing of
    one hides anything of another: every phase takes as many times as long as there are instances. Only an order
    between them (`ping_pong`) prevents that. `phases` may hold numbers or arrays, and so may `signal`.

    >>> from fractions import Fraction
    >>> one = Phases(*map(Fraction, (8, 0, 1, 4, 2, 1, 8, 0)))
    >>> int(attained_step(one, "in_order", 2)), int(attained_step(one, "in_order", 2, "fair"))
    (32, 44)
    """
    chain = step_chain(phases, structure, signal)
    if sharing == "fair" and structure != "ping_pong":
        return instances * step_chain(phases, structure) + (chain - step_chain(phases, structure))
    return _most(*(instances * clocks for clocks in phases.pipes.values()), chain)


def _most(*values: Any) -> Any:
    """Return the largest of numbers, or elementwise of arrays."""
    if any(hasattr(v, "shape") for v in values):
        import numpy as np  # noqa: PLC0415 - only for columns

        return reduce(np.maximum, values)
    return max(values)
