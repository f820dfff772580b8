"""Energy, area, time and leakage of a static RAM of any size, interpolated in a table of CACTI 7 runs.

The table has powers of two of width and rows, 1, 4 and 16 banks, four kinds of ports, 22 and 45 nm. For one kind of
ports, number of banks and node, the logarithm of a quantity is a trend plus distances to the table's points, all in
octaves of width and rows - the two-dimensional analogue of a line through neighbouring points. The trend is a plane
and one term for a bank that is wider than tall, whose periphery outweighs its cells. Between banks and between nodes
it is log-linear. Points of the table come back exactly.

Of the interpolants tried, this one had the smallest leave-one-out error (root mean square of the logarithm over all
quantities): 0.128; with a plane alone 0.131; a line through the neighbours on either axis 0.140; thin plate 0.142;
cubic 0.161; a quadratic without interpolation 0.200. What is left is CACTI's own: it changes how a RAM is divided from
one size to the next.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np

from arch_specs.units import format_quantity
from einsum_cascades.diagnostics import Problem, SpecError, suggest

Array = np.ndarray[Any, np.dtype[np.float64]]

__all__ = ["PORTS", "QUANTITIES", "ErrorRow", "Sram", "estimate_sram", "leave_one_out_error"]

# Columns of the table (rw_ports, read_ports, write_ports) by the name of the ports.
PORTS: dict[str, tuple[int, int, int]] = {"1rw": (1, 0, 0), "1r1w": (0, 1, 1), "2rw": (2, 0, 0), "4rw": (4, 0, 0)}

# The quantities: field of `Sram` -> (column of the table, factor to SI or um^2).
QUANTITIES: dict[str, tuple[str, float]] = {
    "read_j": ("read_pj", 1e-12),
    "write_j": ("write_pj", 1e-12),
    "area_um2": ("area_um2", 1.0),
    "access_s": ("access_ns", 1e-9),
    "cycle_s": ("cycle_ns", 1e-9),
    "leakage_w": ("leak_mw_per_bank", 1e-3),
}


@dataclass(frozen=True, slots=True)
class Sram:
    """A RAM of `banks` banks of `rows_per_bank` rows of `width_bits`; an access is to one row of one bank.

    `cycle_s` is the time from one access to the next of the same bank. `error` is the relative error of each
    quantity that 19 of 20 table points stay below when they are left out; 0 at a point of the table. `warnings` say
    where the table had to be left.
    """

    width_bits: float
    rows_per_bank: float
    banks: float
    ports: str
    node_nm: float
    read_j: float
    write_j: float
    area_um2: float
    access_s: float
    cycle_s: float
    leakage_w: float
    error: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    @property
    def capacity_bytes(self) -> float:
        """The bytes that all banks hold."""
        return self.width_bits * self.rows_per_bank * self.banks / 8


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """Relative errors of one quantity when each point of a slice of the table is predicted from the others.

    `axis` is "size" where a point is predicted from other widths and rows, "banks" where from fewer and more banks.
    """

    node_nm: int
    ports: str
    banks: int
    axis: str
    quantity: str
    points: int
    median: float
    p95: float
    largest: float


@dataclass(frozen=True)
class _Slice:
    """The runs of one node, kind of ports and number of banks; `solved` is the inverse of the interpolation."""

    points: Array
    values: Array
    solved: Array

    def predict(self, at: tuple[float, float]) -> Array:
        """Return the logarithms of all quantities at (log2 width, log2 rows)."""
        weights: Array = self.solved[:, : len(self.values)] @ self.values
        here = np.array([at])
        result: Array = np.concatenate([-_distances(here, self.points), _trend(here)], axis=1)[0] @ weights
        return result

    def left_out(self) -> Array:
        """Return the relative error of every point and quantity, each point predicted from all the others.

        In closed form: the residual is the point's weight over its diagonal of the inverse.
        """
        n = len(self.values)
        residuals = (self.solved[:n, :n] @ self.values) / np.diag(self.solved)[:n, None]
        result: Array = np.abs(np.expm1(-residuals))
        return result

    def by_point(self) -> dict[tuple[float, ...], Array]:
        """Return the logarithms of all quantities by (log2 width, log2 rows)."""
        return {tuple(at): row for at, row in zip(self.points.tolist(), self.values, strict=True)}

    def extents(self, banks: int) -> str:
        """Return the range of the points in words."""
        (low_width, low_rows), (high_width, high_rows) = (2 ** self.points.min(0), 2 ** self.points.max(0))
        capacity = format_quantity(int(2 ** self.points.sum(1).max() * banks / 8), "bytes")
        return (
            f"{low_width:g} to {high_width:g} bits, {low_rows:g} to {high_rows:g} rows, "
            f"up to {capacity} in {banks} bank{'s' * (banks > 1)}"
        )

    def holds(self, at: tuple[float, float]) -> bool:
        """Say whether a point lies in a cell all of whose corners are in the table."""
        known = self.by_point()
        sides = [{float(math.floor(x)), float(math.ceil(x))} for x in at]
        return all((u, v) in known for u in sides[0] for v in sides[1])


@lru_cache(maxsize=4096)
def estimate_sram(
    width_bits: float, rows_per_bank: float, *, banks: float = 1, ports: str = "1rw", node_nm: float = 45
) -> Sram:
    """Return what a RAM costs; `ports` is one of `PORTS`, `node_nm` the feature size in nanometres.

    Outside the table the estimate is extrapolated and says so in `warnings`. Raises SpecError for an extent that is
    not positive and for ports, or banks with those ports, that the table lacks.

    >>> ram = estimate_sram(4096, 32768)
    >>> f"{ram.read_j * 1e12:.1f} pJ, {ram.area_um2 / 1e6:.2f} mm^2", ram.warnings
    ('12512.7 pJ, 84.20 mm^2', ())
    """
    _check(width_bits, rows_per_bank, banks, ports, node_nm)
    table = _table()
    at = (math.log2(width_bits), math.log2(rows_per_bank))
    bank_weights = _bracket(banks, sorted({b for _, p, b in table if p == ports}))
    node_weights = _bracket(node_nm, sorted({n for n, _, _ in table}))
    corners = {
        (node, ports, bank): node_weight * bank_weight
        for node, node_weight in node_weights.items()
        for bank, bank_weight in bank_weights.items()
    }
    logs = np.sum([weight * table[key].predict(at) for key, weight in corners.items()], axis=0)
    factors = {name: factor * (banks if name == "leakage_w" else 1) for name, (_, factor) in QUANTITIES.items()}
    found = {name: math.exp(log) * factors[name] for name, log in zip(QUANTITIES, logs, strict=True)}
    warnings = [
        f"{width_bits:g} bits x {rows_per_bank:g} rows is outside the table of {table[key].extents(key[2])}"
        for key in corners
        if not table[key].holds(at)
    ]
    if len(bank_weights) > 1 and min(bank_weights.values()) < 0:
        warnings.append(f"{banks:g} banks are outside the table")
    if len(node_weights) > 1:
        outside = "is outside the table" if min(node_weights.values()) < 0 else "has no known error"
        warnings.append(f"{node_nm:g} nm {outside}: from {' and '.join(f'{n} nm' for n in node_weights)}")
    error = _stated_error(at, corners)
    once = tuple(dict.fromkeys(warnings))
    return Sram(width_bits, rows_per_bank, banks, ports, node_nm, **found, error=error, warnings=once)


def leave_one_out_error() -> tuple[ErrorRow, ...]:
    """Return, for each slice of the table and quantity, how well its points are predicted from the others.

    The points beside the one left out are two octaves apart, so between the table's points the error is smaller.
    Nothing is known of the error between the two nodes.

    >>> row = next(r for r in leave_one_out_error() if (r.node_nm, r.ports, r.banks) == (45, "1rw", 1))
    >>> row.quantity, row.points, f"{row.median:.3f} {row.p95:.3f} {row.largest:.3f}"
    ('read_j', 86, '0.062 0.204 0.257')
    """
    return tuple(
        ErrorRow(*key, axis, name, len(row), _quantile(row, 0.5), _quantile(row, 0.95), float(row.max()))
        for key in _table()
        for axis, errors in (("size", _table()[key].left_out()), ("banks", _bank_error(key)))
        for name, row in zip(QUANTITIES, errors.T, strict=True)
        if len(row)
    )


def _bank_error(key: tuple[int, str, int]) -> Array:
    """Return the relative errors of a slice predicted from those with fewer and with more banks; empty at the ends."""
    node, ports, bank = key
    banks = sorted(b for n, p, b in _table() if (n, p) == (node, ports) and b != bank)
    if not banks or not banks[0] < bank < banks[-1]:
        return np.empty((0, len(QUANTITIES)))
    around = [(weight, _table()[node, ports, b].by_point()) for b, weight in _bracket(bank, banks).items()]
    own = _table()[key].by_point()
    shared = [at for at in own if all(at in points for _, points in around)]
    predicted = np.array([sum(weight * points[at] for weight, points in around) for at in shared])
    errors: Array = np.abs(np.expm1(predicted - np.array([own[at] for at in shared])))
    return errors


@lru_cache(maxsize=1)
def _table() -> dict[tuple[int, str, int], _Slice]:
    """Return the slices of the shipped table by node, ports and banks."""
    text = files("arch_specs").joinpath("data/sram_cacti.csv").read_text("utf-8")
    runs = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    names = {columns: name for name, columns in PORTS.items()}
    grouped: dict[tuple[int, str, int], list[tuple[list[float], list[float]]]] = {}
    for run in runs:
        ports = names[int(run["rw_ports"]), int(run["read_ports"]), int(run["write_ports"])]
        at = [math.log2(int(run["width_bits"])), math.log2(int(run["depth_rows"]))]
        logs = [math.log(float(run[column])) for column, _ in QUANTITIES.values()]
        grouped.setdefault((int(run["node_nm"]), ports, int(run["banks"])), []).append((at, logs))
    slices = {}
    for key, rows in grouped.items():
        points = np.array([at for at, _ in rows])
        slices[key] = _Slice(points, np.array([logs for _, logs in rows]), _invert(points))
    return slices


def _invert(points: Array) -> Array:
    """Return the inverse of the system [[-distances, trend], [trend^T, 0]] that fixes the weights."""
    trend = _trend(points)
    corner = np.zeros((trend.shape[1], trend.shape[1]))
    return np.linalg.inv(np.block([[-_distances(points, points), trend], [trend.T, corner]])).astype(np.float64)


def _distances(here: Array, points: Array) -> Array:
    result: Array = np.hypot(*(here[:, None] - points[None]).transpose(2, 0, 1))
    return result


def _trend(points: Array) -> Array:
    """Return the terms of the trend at points (log2 width, log2 rows)."""
    width, rows = points.T
    return np.column_stack([np.ones_like(width), width, rows, np.log2(1 + np.exp2(width - rows - 1))])


def _stated_error(at: tuple[float, float], corners: Mapping[tuple[int, str, int], float]) -> dict[str, float]:
    """Return the error of each quantity: that of sizes unless `at` is in the table, and that of banks if between."""
    error = np.zeros(len(QUANTITIES))
    for key in corners:
        if at not in _table()[key].by_point():
            error = np.maximum(error, np.quantile(_table()[key].left_out(), 0.95, axis=0))
    if len({bank for _, _, bank in corners}) > 1:
        between = [_bank_error(key) for key in _table() if len(_bank_error(key))]
        error = error + np.quantile(np.concatenate(between), 0.95, axis=0)
    return dict(zip(QUANTITIES, error.tolist(), strict=True))


def _bracket(x: float, known: list[int]) -> dict[int, float]:
    """Return the weights of the known values around x for a line in the logarithm; a known value weighs 1 alone."""
    if x in known:
        return {int(x): 1.0}
    low, high = next((pair for pair in pairwise(known) if x < pair[1]), (known[-2], known[-1]))
    share = math.log(x / low) / math.log(high / low)
    return {low: 1 - share, high: share}


def _quantile(values: Array, share: float) -> float:
    return float(np.quantile(values, share))


def _check(width_bits: float, rows: float, banks: float, ports: str, node_nm: float) -> None:
    given = {"width_bits": width_bits, "rows_per_bank": rows, "banks": banks, "node_nm": node_nm}
    problems = [
        Problem(f"{name} of an SRAM is {value}, but must be above zero")
        for name, value in given.items()
        if not (math.isfinite(value) and value > 0)
    ]
    if ports not in PORTS:
        hint = suggest(ports, PORTS) or f"one of {', '.join(PORTS)}"
        problems.append(Problem(f"unknown ports '{ports}' of an SRAM", hint=hint))
    elif banks != 1 and ports != "1rw":
        problems.append(
            Problem(f"no data for an SRAM of {banks:g} banks with {ports} ports", hint="use 1rw, or one bank")
        )
    if problems:
        raise SpecError(problems)
