"""Fit the constants of a decode kernel to measured rows, and judge it by the rows left out.

Rows are columns: `batch, q_heads, kv_heads, kv_len, latency_us`. A shape is a (batch, query heads, KV heads) triple,
all of whose lengths stay on one side of a split.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.targets.gpu.decode_times import (
    DecodeKernel,
    constants_of,
    lay_decode_columns,
    predict_decode,
    with_constants,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

__all__ = ["DecodeErrors", "fit_decode", "half_of_shapes", "judge_decode"]

_ASSUMED = ("fixup_s", "fixup_part_s")  # no measured row has them


@dataclass(frozen=True, slots=True)
class DecodeErrors:
    """Mean absolute relative errors: of all rows, and of the cold ones, whose caches exceed L2."""

    rows: int
    mape: float
    cold_rows: int
    cold_mape: float
    cold_median: float


def half_of_shapes(rows: Mapping[str, Any]) -> Flags:
    """Return which rows are for fitting: those whose `batch,q_heads,kv_heads` has an even CRC-32.

    >>> half_of_shapes({"batch": [1, 8, 2], "q_heads": [8, 16, 8], "kv_heads": [8, 2, 2]}).tolist()
    [False, True, False]
    """
    import numpy as np  # noqa: PLC0415 - reading schedules needs none

    keys = zip(rows["batch"], rows["q_heads"], rows["kv_heads"], strict=True)
    return np.array([zlib.crc32(f"{int(b)},{int(q)},{int(k)}".encode()) % 2 == 0 for b, q, k in keys], bool)


def judge_decode(kernel: DecodeKernel, rows: Mapping[str, Any]) -> DecodeErrors:
    """Return the errors of a kernel's predictions on measured rows."""
    import numpy as np  # noqa: PLC0415

    columns = lay_decode_columns(kernel, rows)
    error = np.abs(predict_decode(kernel, columns) * 1e6 / np.asarray(rows["latency_us"], float) - 1)
    cold = error[columns.kv_bytes > kernel.l2_bytes]
    has = len(cold) > 0
    return DecodeErrors(
        len(error),
        float(error.mean()) if len(error) else 0.0,
        len(cold),
        float(cold.mean()) if has else 0.0,
        float(np.median(cold)) if has else 0.0,
    )


def fit_decode(kernel: DecodeKernel, rows: Mapping[str, Any], steps: int = 3000) -> DecodeKernel:
    """Return the kernel with the constants that make the mean |log(predicted / measured)| of the rows least.

    Starts from the kernel's own constants; those of stream-K, which no row shows, and those that are 0, because the
    kernel lacks the effect, stay as they are.
    """
    import numpy as np  # noqa: PLC0415

    columns = lay_decode_columns(kernel, rows)
    measured = np.log(np.asarray(rows["latency_us"], float) / 1e6)
    start = {name: value for name, value in constants_of(kernel).items() if name not in _ASSUMED and value > 0}

    def loss(point: Floats) -> float:
        made = with_constants(kernel, dict(zip(start, np.exp(point).tolist(), strict=True)))
        return float(np.abs(np.log(predict_decode(made, columns)) - measured).mean())

    best = _descend(loss, np.log(np.array(list(start.values()))), steps)
    return with_constants(kernel, dict(zip(start, np.exp(best).tolist(), strict=True)))


def _descend(loss: Callable[[Floats], float], start: Floats, steps: int) -> Floats:
    """Return a local minimum by the simplex of Nelder and Mead (1965), begun anew half-way."""
    import numpy as np  # noqa: PLC0415

    best = start
    for width in (0.15, 0.05):
        simplex = [best, *(best + width * row for row in np.eye(len(best)))]
        values = [loss(point) for point in simplex]
        for _ in range(steps // 2):
            order = np.argsort(values, kind="stable")
            simplex, values = [simplex[i] for i in order], [values[i] for i in order]
            _move(loss, simplex, values)
        best = simplex[int(np.argmin(values))]
    return best


def _move(loss: Callable[[Floats], float], simplex: list[Floats], values: list[float]) -> None:
    """Replace the worst point of a sorted simplex, or draw all towards the best."""
    import numpy as np  # noqa: PLC0415

    middle = np.mean(simplex[:-1], axis=0)
    away = middle - simplex[-1]
    found = [(loss(middle + away), 1.0)]
    if found[0][0] < values[0]:
        found.append((loss(middle + 2 * away), 2.0))
    elif found[0][0] >= values[-2]:
        found.append((loss(middle - 0.5 * away), -0.5))
    value, step = min(found)
    if value < values[-1]:
        simplex[-1], values[-1] = middle + step * away, value
        return
    for i in range(1, len(simplex)):
        simplex[i] = simplex[0] + 0.5 * (simplex[i] - simplex[0])
        values[i] = loss(simplex[i])
