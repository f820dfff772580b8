"""What a served trace comes to: waiting, pace, throughput, goodput at an objective; with confidence from seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.serving.serve import Served

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Estimate", "Objective", "estimate", "summarize"]

# Student's t at 97.5 % by degrees of freedom, and the normal quantile beyond.
_T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL_975 = 1.960


@dataclass(frozen=True, slots=True)
class Objective:
    """A request is good when its first token comes within `ttft_s` and the others at `tpot_s` each, seconds."""

    ttft_s: float = 1.0
    tpot_s: float = 0.05


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds and half of its 95 % confidence interval; None with one seed."""

    mean: float
    half_width: float | None


def summarize(runs: Sequence[Served], objective: Objective) -> dict[str, float]:
    """Return the figures of one run, of one server or of several that shared the requests.

    Rates are over the time from the first arrival to the last token. Quantiles are of requests; those of the time per
    token leave out requests of one token.
    """
    import numpy as np  # noqa: PLC0415 - an estimate needs none

    ttft = np.concatenate([run.ttft_s for run in runs])
    tpot = np.concatenate([run.tpot_s for run in runs])
    generated = np.concatenate([run.requests.generated for run in runs])
    total_s = max(float(run.end_s.max()) for run in runs)
    good = int(((ttft <= objective.ttft_s) & (tpot <= objective.tpot_s)).sum())
    steps, busy, batch = (sum(run.totals[key] for run in runs) for key in ("steps", "busy_s", "request_steps"))
    paced = tpot[generated > 1]
    return {
        "requests": float(len(ttft)),
        "ttft_p50_s": _quantile(ttft, 50),
        "ttft_p99_s": _quantile(ttft, 99),
        "tpot_p50_s": _quantile(paced, 50),
        "tpot_p99_s": _quantile(paced, 99),
        "tokens_per_s": float(generated.sum()) / total_s,
        "requests_per_s": len(ttft) / total_s,
        "goodput_per_s": good / total_s,
        "good_share": good / len(ttft),
        "utilization": busy / (total_s * len(runs)),
        "mean_batch": batch / steps,
        "preemptions": sum(run.totals["preemptions"] for run in runs),
        "moved_bytes": sum(run.totals["out_bytes"] + run.totals["in_bytes"] for run in runs),
        "makespan_s": total_s,
    }


def _quantile(values: npt.NDArray[np.float64], percent: float) -> float:
    import numpy as np  # noqa: PLC0415

    return float(np.percentile(values, percent)) if len(values) else 0.0


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of one figure over seeds with its 95 % half-width, by Student's t.

    >>> round(estimate([1.0, 2.0, 3.0]).half_width, 3)
    2.484
    """
    count = len(values)
    mean = sum(values) / count
    if count < 2:
        return Estimate(mean, None)
    variance = sum((v - mean) ** 2 for v in values) / (count - 1)
    quantile = _T_975[count - 2] if count - 2 < len(_T_975) else _NORMAL_975
    return Estimate(mean, quantile * (variance / count) ** 0.5)
