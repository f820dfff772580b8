"""The headlines of FuseMax as ratios, as ranges over accountings and the energy of a multiply-accumulate, as a card."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean
from typing import Any

import pandas as pd

from arch_specs.model import Architecture, Compute
from simulator.report import Report
from studies.study import Claim

Cells = dict[tuple[str, int], float]

__all__ = ["MAC_ENERGIES_J", "add_linear", "count_macs", "headline_rows", "mac_energy_rows", "make_card"]

# The energy of a multiply-accumulate in the published tables, and the axis on which it is moved.
_GIVEN_MAC_J = 17.1645e-12
# The baseline's exp unit is priced as five multiply-accumulates and a multiply (FuseMax artifact), so it moves too.
_EXP_UNIT_MACS = 5
MAC_ENERGIES_J = tuple(x * 1e-12 for x in (1.0, 1.5, 2.0, 5.0, 10.0, 17.1645, 20.0))
_PLATFORM = {"unfused": "flat", "flat": "flat", "cascade": "flat", "arch": "proposal", "binding": "proposal"}
_CELL = ["model", "seq_len"]
_PAPER = "FuseMax, MICRO 2024, abstract"
_ARTIFACT = "FuseMax artifact (MIT licence), attention result tables"


def add_linear(attention: pd.DataFrame, linear: pd.DataFrame) -> pd.DataFrame:
    """Return the attention table with traffic, latency and energy of the platform's linear layers added."""
    keys = ["platform", *_CELL, "accounting"]
    left = attention.assign(platform=attention.config.map(_PLATFORM))
    merged = left.merge(linear, on=keys, suffixes=("", "_linear"), validate="many_to_one")
    for column in ("traffic_bytes", "latency_s", "energy_j", "macs"):
        merged[column] = merged[column] + merged[f"{column}_linear"]
    return merged


def _cells(table: pd.DataFrame, config: str, column: str) -> Cells:
    """Return a column of one configuration by (model, sequence length)."""
    chosen = table[table.config == config]
    keys = zip(chosen.model, chosen.seq_len, strict=True)
    return {(str(m), int(n)): float(v) for (m, n), v in zip(keys, chosen[column], strict=True)}


def _ratios(above: Cells, below: Cells) -> Cells:
    """Return the ratio cell by cell."""
    return {cell: above[cell] / below[cell] for cell in above}


def headline_rows(attention: pd.DataFrame, linear: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the mean over cells of each configuration's speed-up and energy ratio over FLAT and unfused.

    All averages are arithmetic means of the per-cell ratio, as in the paper.
    """
    for scope, table in (("attention", attention), ("end_to_end", add_linear(attention, linear))):
        for (accounting, mapper), part in table.groupby(["accounting", "mapper"], sort=False):
            for baseline in ("flat", "unfused"):
                for config in _PLATFORM:
                    if config == baseline:
                        continue
                    latency = _ratios(_cells(part, baseline, "latency_s"), _cells(part, config, "latency_s"))
                    energy = _ratios(_cells(part, config, "energy_j"), _cells(part, baseline, "energy_j"))
                    for metric, cells in (("speedup", latency), ("energy_ratio", energy)):
                        yield {
                            "scope": scope,
                            "metric": metric,
                            "baseline": baseline,
                            "config": config,
                            "accounting": accounting,
                            "mapper": mapper,
                            "value": fmean(cells.values()),
                        }


def mac_energy_rows(attention: pd.DataFrame, linear: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the mean energy ratio of FuseMax over FLAT by energy of a multiply-accumulate (clean accounting).

    Energy is linear in it: the multiply-accumulates of each design are counted, and charged anew.
    """
    for scope, table in (("attention", attention), ("end_to_end", add_linear(attention, linear))):
        part = table[(table.accounting == "clean") & (table.mapper == "recorded")]
        given = {name: (_cells(part, name, "energy_j"), _cells(part, name, "macs")) for name in ("binding", "flat")}
        for energy_j in MAC_ENERGIES_J:
            ours, base = (
                {cell: joules[cell] + macs[cell] * (energy_j - _GIVEN_MAC_J) for cell in joules}
                for joules, macs in given.values()
            )
            ratio = fmean(_ratios(ours, base).values())
            yield {"scope": scope, "mac_energy_j": energy_j, "energy_ratio": ratio}


def count_macs(report: Report, chip: Architecture) -> float:
    """Return the multiply-accumulates of a design, those inside expansions and exp units included."""
    total = 0.0
    for row in report.energy:
        part = chip.part(row.part)
        if not isinstance(part, Compute) or row.action.startswith("register"):
            continue
        carrier = part.operation(part.carriers(row.action)[0])
        if carrier is not None:
            own = {"mac": 1, "exp": _EXP_UNIT_MACS}.get(carrier.name, 0)
            total += row.count * (dict(carrier.expands).get("mac", 0) if carrier.expands else own)
    return total


def _value(headline: pd.DataFrame, scope: str, metric: str, accounting: str) -> float:
    chosen = headline[
        (headline.scope == scope)
        & (headline.metric == metric)
        & (headline.baseline == "flat")
        & (headline.config == "binding")
        & (headline.accounting == accounting)
        & (headline.mapper == "recorded")
    ]
    return float(chosen.value.iloc[0])


def _headline_claims(headline: pd.DataFrame, mac: pd.DataFrame) -> Iterator[Claim]:
    """Yield the paper's four headlines, each with its range over what the paper leaves open."""
    names = {"attention": "attention", "end_to_end": "attention and linear layers"}
    published = {
        ("attention", "speedup"): (6.7, 0.05),
        ("attention", "energy_ratio"): (0.79, 0.005),
        ("end_to_end", "speedup"): (5.3, 0.05),
        ("end_to_end", "energy_ratio"): (0.83, 0.005),
    }
    for (scope, metric), (figure, reading) in published.items():
        by_accounting = {
            a: _value(headline, scope, metric, a) for a in ("published", "clean", "all_registers", "ports")
        }
        values = list(by_accounting.values())
        over = ", ".join(f"{name} {value:.3f}" for name, value in by_accounting.items())
        if metric == "energy_ratio":
            ratios = [float(ratio) for ratio in mac[mac.scope == scope].energy_ratio]
            values += ratios
            over += f"; a MAC of 1 pJ {ratios[0]:.3f}, of 20 pJ {ratios[-1]:.3f}"
        what = "speed-up of FuseMax over FLAT" if metric == "speedup" else "energy of FuseMax over FLAT"
        yield Claim(
            f"{what}, {names[scope]}, mean of 24 cells",
            figure,
            by_accounting["published"],
            reading / figure,
            f"published accounting, recorded dataflows; range: {over}",
            _PAPER,
            min(values),
            max(values),
        )


# Latencies in seconds and energies in joules that the artifact publishes, for the cells of the card.
_PUBLISHED_S = {
    ("unfused", "BERT", 2**14): 5.3618356085106385,
    ("flat", "BERT", 2**14): 3.4268356085106384,
    ("cascade", "BERT", 2**14): 3.8752691744680856,
    ("arch", "BERT", 2**14): 1.5327057702127658,
    ("binding", "BERT", 2**14): 0.46516616170212766,
    ("unfused", "XLM", 2**14): 7.169114144680851,
    ("flat", "XLM", 2**14): 4.569114144680851,
    ("binding", "XLM", 2**14): 1.1958228425531914,
    ("flat", "BERT", 2**18): 1013.8800000000001,
    ("binding", "BERT", 2**18): 118.2793728,
}
_PUBLISHED_J = {
    ("flat", "BERT", 2**14): 636.1172201894978,
    ("binding", "BERT", 2**14): 493.10911189164744,
    ("flat", "BERT", 2**18): 167122.9333621923,
    ("binding", "BERT", 2**18): 126588.34632312842,
}


def _cell_claims(recorded: pd.DataFrame) -> Iterator[Claim]:
    """Yield single cells of the published tables as ratios."""
    pairs = (("flat", "binding"), ("unfused", "binding"), ("flat", "arch"), ("flat", "cascade"))
    figures = (("speed-up", "latency_s", _PUBLISHED_S, 1e-6), ("energy saving", "energy_j", _PUBLISHED_J, 1e-3))
    for what, column, published, tolerance in figures:
        for slow, fast in pairs:
            ours = _ratios(_cells(recorded, slow, column), _cells(recorded, fast, column))
            for model, seq_len in sorted({(m, n) for _, m, n in published} & set(ours)):
                if (slow, model, seq_len) not in published or (fast, model, seq_len) not in published:
                    continue
                yield Claim(
                    f"{what} of {fast} over {slow}, attention, {model} at {seq_len}",
                    published[slow, model, seq_len] / published[fast, model, seq_len],
                    ours[model, seq_len],
                    tolerance,
                    "recorded dataflow of the slower one, published accounting",
                    _ARTIFACT,
                )


def _findings(attention: pd.DataFrame) -> Iterator[Claim]:
    """Yield what the published model leaves out, beside what it says."""
    recorded = attention[attention.mapper == "recorded"]
    by_accounting = {str(name): part for name, part in recorded.groupby("accounting")}
    ports, published, clean = (by_accounting[name] for name in ("ports", "published", "clean"))
    limited = _ratios(_cells(ports, "flat", "latency_s"), _cells(ports, "binding", "latency_s"))
    yield Claim(
        "speed-up of FuseMax over FLAT when the buffer's port serves one row a cycle, mean of 24 cells",
        6.7,
        fmean(limited.values()),
        0.05 / 6.7,
        "the paper sets no limit on buffer ports, but prices a buffer with one; range over cells",
        f"{_PAPER} (without the limit)",
        min(limited.values()),
        max(limited.values()),
    )
    headroom = [1 / share - 1 for share in _cells(published, "binding", "util_2d").values()]
    yield Claim(
        "what any other mapping of the one-pass cascade can gain on this chip, at most, mean of 24 cells",
        None,
        fmean(headroom),
        0.0,
        "latency over the 2-D array's own work, less one; the paper says nearly 100 % utilization; range over cells",
        _PAPER,
        min(headroom),
        max(headroom),
    )
    speedup = _ratios(_cells(clean, "flat", "latency_s"), _cells(clean, "binding", "latency_s"))
    saving = _ratios(_cells(clean, "flat", "energy_j"), _cells(clean, "binding", "energy_j"))
    distinct = {(round(speedup[cell], 9), round(saving[cell], 6)) for cell in speedup}
    yield Claim(
        "distinct cells among the averaged ones, attention",
        float(len(speedup)),
        float(len(distinct)),
        0.0,
        "BERT, TrXL and T5 differ in the number of heads alone, so their ratios are the same",
        _PAPER,
    )


def make_card(attention: pd.DataFrame, headline: pd.DataFrame, mac: pd.DataFrame) -> tuple[Claim, ...]:
    """Return published figures beside ours: headlines with their ranges, single cells, and what was left out."""
    recorded = attention[(attention.mapper == "recorded") & (attention.accounting == "published")]
    return (*_headline_claims(headline, mac), *_cell_claims(recorded), *_findings(attention))
