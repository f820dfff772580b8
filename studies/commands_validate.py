"""`attnsim validate`: score a model against measurements of one's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from studies.output import Output, emit

__all__ = ["validate_command"]

_NUMBER = re.compile(r"(?<!\S)[0-9][0-9.e+-]*(?!\S)")


@click.group("validate")
def validate_command() -> None:
    """Score a model against measurements."""


@validate_command.command("gpu")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--calibrate",
    default="auto",
    metavar="auto|none|FILE",
    help="The shipped constants (auto), the data sheet alone (none), or a file that `attnsim calibrate` wrote.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Every row with its prediction (CSV).")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", help="Of the scores.")
def validate_gpu(data: Path, calibrate: str, out: Path | None, form: str) -> None:
    """Score the GPU model against the measured attention kernels of DATA, a CSV file.

    Nothing is fitted on the rows given. Rows that cannot be true, and rows that the model cannot run, are left out
    with the reason; the scores are of the others.
    """
    from studies.gpu_validate import validate

    found = validate(data, calibrate)
    if out is not None:
        emit(found.rows(), Output("json" if out.suffix.lower() == ".json" else "csv", out))
        click.echo(f"wrote {out}", err=True)
    answer = found.to_json()
    if form == "table":
        _print_summary(answer)
    emit(answer, Output("table" if form == "table" else "csv" if form == "csv" else "json"), rows=answer["groups"])


def _print_summary(answer: dict[str, Any]) -> None:
    """Write the scores of all rows, and how many were left out for which reason."""
    left_out: dict[str, list[int]] = {}
    for row in answer["skipped"]:
        kind = _NUMBER.sub("N", re.split("[;(]", row["why"])[0].strip())
        left_out.setdefault(kind, []).append(row["row"])
    click.echo(f"{answer['rows']} rows, {answer['predicted']} predicted and judged")
    for kind, rows in left_out.items():
        shown = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
        click.echo(f"  left out {len(rows)}: {kind} (rows {shown})")
    if answer["predicted"]:
        click.echo(
            f"MAPE {answer['mape']:.1%}, median {answer['median_ape']:.1%}, bias {answer['bias']:+.1%}, "
            f"mean |ln| {answer['mean_abs_ln']:.3f}, inside the 80 % interval {answer['coverage']:.1%}"
        )
    click.echo()
