"""`attnsim measure-gpu`: rows of one's own card, in the columns that `validate gpu` and `calibrate` read."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studies.measure_cases import STAGES, Case, plan_cases
from studies.output import plain, replacing

if TYPE_CHECKING:
    from studies.measure_gpu import Card
    from studies.measure_power import PowerLog

__all__ = ["measure_command"]

_STAGES = f"What to measure, of {', '.join(STAGES)}; all, in this order, without it."


@click.command("measure-gpu")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="CSV of rows; beside it JSON."
)
@click.option("--stages", default="", metavar="NAME,...", help=_STAGES)
@click.option(
    "--budget", type=click.FloatRange(min=0), default=450.0, show_default=True, help="Seconds; then it stops."
)
@click.option("--smoke", is_flag=True, help="A few tiny cases on the processor: checks the protocol, measures nothing.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random inputs.")
def measure_command(out: Path, stages: str, budget: float, smoke: bool, seed: int) -> None:
    """Measure attention on the GPU of this machine, without changing any of its settings.

    Rows are written after every stage, so that a run that is cut short is of use. What the card gives without
    attention (copy, matrix products, the shortest kernel) and what was left out, and why, is in the JSON beside them.
    """
    from studies.measure_gpu import measure_ceilings, open_card
    from studies.measure_power import PowerLog

    chosen = [name.strip() for name in stages.split(",") if name.strip()]
    cases = plan_cases(chosen, smoke)
    started = time.perf_counter()
    card = open_card(smoke, seed)
    power = PowerLog()
    if card.cuda:
        power.start()
    try:
        said: dict[str, Any] = {"gpu": card.gpu, "torch": card.torch.__version__, "backends": card.backends}
        said["ceilings"] = measure_ceilings(card)
        left_out = [{"case": kernel, "why": why} for kernel, why in card.refused.items()]
        rows: list[dict[str, Any]] = []
        for stage in dict.fromkeys(case.stage for case in cases):
            of_stage = [case for case in cases if case.stage == stage]
            made, missed = _run_stage(card, of_stage, power, started + budget)
            rows += made
            left_out += missed
            _write(out, rows, said | {"left_out": left_out, "seconds": time.perf_counter() - started})
            click.echo(f"{stage}: {len(made)} rows, {len(missed)} left out", err=True)
    finally:
        power.stop()
    click.echo(f"wrote {out} and {out.with_suffix('.json')}", err=True)


def _run_stage(
    card: Card, cases: Sequence[Case], power: PowerLog, until_s: float
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Return the rows of a stage, and what was left out of it and why: a backend refused, or the time is up."""
    from studies.measure_gpu import measure_case

    rows, missed = [], []
    for case in cases:
        for kernel in card.backends:
            name = f"{kernel} {case}"
            if time.perf_counter() > until_s:
                missed.append({"case": name, "why": "the time is up"})
                continue
            try:
                row, timing = measure_case(card, kernel, case)
            except RuntimeError as error:  # torch says so too where memory is short
                missed.append({"case": name, "why": " ".join(str(error).split())[:200] or type(error).__name__})
                if card.cuda:
                    card.torch.cuda.empty_cache()
                continue
            seen = power.mean(timing.start_s, timing.end_s)
            row |= {"sm_mhz": seen and round(seen[0]), "power_w": seen and round(seen[1], 1)}
            rows.append(row | {"source": "own measurement", "licence": "own", "quality": "A"})
    return rows, missed


def _write(out: Path, rows: Sequence[dict[str, Any]], said: dict[str, Any]) -> None:
    """Write the rows so far, and beside them what was found and left out."""
    with replacing(out) as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["gpu"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with replacing(out.with_suffix(".json")) as path:
        path.write_text(json.dumps(plain(said), indent=1) + "\n", encoding="utf-8")
