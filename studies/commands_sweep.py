"""`attnsim sweep`: many designs, one tidy table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import click

from einsum_cascades.diagnostics import Problem, SpecError
from simulator.sweep.run import Sweep
from simulator.sweep.space import Space
from studies.cli import library_folders
from studies.commands_eval import parse_assignment, parse_extent
from studies.output import Output, emit
from studies.sweep_parts import PartFormat, need_parquet, rows_of, splice
from studies.sweep_run import part_rows, render_parts
from studies.sweep_store import Store, machine, open_store

__all__ = ["sweep_command"]

_SHOWN = 1000  # rows of a table for people


@click.command("sweep")
@click.argument("cascade")
@click.argument("arch")
@click.argument("extents", nargs=-1, metavar="[EXTENT=N ...]")
@click.option("--set", "axes", multiple=True, metavar="AXIS=VALUES", help="An axis; repeatable, the last is fastest.")
@click.option("--workload", metavar="NAME", help="A named shape; extents given beside it win.")
@click.option("--mapping", metavar="NAME", help="How to map the cascade; the architecture names a default.")
@click.option(
    "--accounting", metavar="NAME", default="clean", help="published, clean (the default), all_registers, ports."
)
@click.option(
    "--method",
    type=click.Choice(["bound", "cycle"]),
    default="bound",
    help="At its ceiling (bound, the default), or run task by task (cycle).",
)
@click.option("--format", "form", type=click.Choice(["table", "csv", "json", "parquet"]), help="How to write it.")
@click.option("--out", type=click.Path(path_type=Path), help="A file, or a folder of parts.")
@click.option("--resume", is_flag=True, help="Go on with the sweep that --out holds a part of.")
@click.option("--workers", type=click.IntRange(1), default=1, metavar="N", help="Processes on this machine.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask cluster, e.g. tcp://10.0.0.1:8786.")
def sweep_command(
    cascade: str,
    arch: str,
    extents: tuple[str, ...],
    axes: tuple[str, ...],
    workload: str | None,
    mapping: str | None,
    accounting: str,
    method: Literal["bound", "cycle"],
    form: str | None,
    out: Path | None,
    resume: bool,
    workers: int,
    scheduler: str | None,
) -> None:
    """Evaluate every design of the product of some axes: CASCADE on ARCH.

    An axis is an extent (M), a number of the machine (pe2d.rows, L3.capacity) or a knob of the mapping
    (mapping.queries). VALUES are listed with commas; 2^10..2^20 is every power of 2 between the two, 64..512:64 goes in
    steps, 1MiB..64MiB:x2 doubles, 1..8 is every whole number. A design that cannot work is a row with feasible=false
    and why.

    Example: attnsim sweep attention_1pass fusemax --workload bert --set pe2d.rows=128,256 --set M=2^10..2^20
    """
    if resume and out is None:
        raise SpecError(Problem("--resume goes on with what --out holds", hint="give --out"))
    shape = _format(form, out)
    given: dict[str, str] = {}
    for word in axes:
        name, values = parse_assignment(word, "M=2^10..2^20")
        if name in given:
            raise SpecError(Problem(f"axis {name} is given twice", hint="list its values with commas"))
        given[name] = values
    space = _space(cascade, arch, extents, given, workload, mapping, accounting)
    sweep = Sweep(replace(space, method=method))
    if out is not None:
        store = open_store(sweep, out, cast(PartFormat, shape), resume=resume)
        if store.finished:
            click.echo(f"{out} is finished", err=True)
        else:
            _run(sweep, store, workers, scheduler)
    elif shape == "table":
        _show(sweep)
    else:
        numbers = range(-(-sweep.space.points // part_rows(sweep)))
        parts = render_parts(sweep, cast(PartFormat, shape), numbers, workers, scheduler)
        for data in splice((data for _, _, data in parts), cast(PartFormat, shape)):
            click.echo(data, nl=False)


def _format(form: str | None, out: Path | None) -> str:
    """Return the format that is asked for, by name or by the suffix of the file."""
    by_suffix = out.suffix.lower().lstrip(".") if out is not None else ""
    chosen = form or (by_suffix if by_suffix in ("csv", "json", "parquet") else ("csv" if out is not None else "table"))
    if chosen == "parquet":
        need_parquet()
        if out is None:
            raise SpecError(Problem("Parquet is written to a file or a folder", hint="give --out"))
    if chosen == "table" and out is not None:
        raise SpecError(Problem("a sweep is kept as csv, json or parquet", hint="leave out --format or --out"))
    return chosen


def _space(
    cascade: str,
    arch: str,
    extents: tuple[str, ...],
    axes: dict[str, str],
    workload: str | None,
    mapping: str | None,
    accounting: str,
) -> Space:
    from simulator import library
    from simulator.sweep.space import make_space
    from simulator.workload import Workload

    search = library_folders()
    parsed = library.load_cascade(cascade, search)
    preset = library.load_workload(workload, search) if workload else None
    given = dict(parse_assignment(word, "M=4096") for word in extents)
    shaped = Workload.of(parsed, preset, **{name: parse_extent(name, value) for name, value in given.items()})
    machine_spec = library.load_machine(arch, search)
    template = library.load_mapping(mapping, search) if mapping else None
    return make_space(shaped, machine_spec, axes, template, accounting, search)


def _show(sweep: Sweep) -> None:
    """Print the first rows for people."""
    fields = sweep.space.fields
    count = min(sweep.space.points, _SHOWN)
    rows = [row for block in sweep.blocks(0, count) for row in rows_of(block, fields)]
    emit(rows, Output(), rows=list(islice(rows, _SHOWN)))
    if sweep.space.points > count:
        click.echo(f"the first {count:,} of {sweep.space.points:,} designs; --out FILE.csv keeps them all", err=True)


def _run(sweep: Sweep, store: Store, workers: int, scheduler: str | None) -> None:
    """Evaluate what is missing of a sweep, and say how it went."""
    started = time.monotonic()
    missing = store.missing
    found = store.parts - len(missing)
    points, rows = sweep.space.points, part_rows(sweep)
    done = 0
    try:
        with _progress(points, min(points, found * rows)) as advance:
            for number, _, data in render_parts(sweep, store.form, missing, workers, scheduler):
                store.put(number, data)
                done += 1
                advance(min(rows, points - number * rows))
    except KeyboardInterrupt:
        click.echo(
            f"interrupted: {found + done} of {store.parts} parts are in {store.folder}; go on with --resume", err=True
        )
        raise
    wall_s = time.monotonic() - started
    summary = {"wall_s": wall_s, "parts_found": found, "workers": workers, "scheduler": scheduler, **machine()}
    where = store.finish(summary)
    rate = (points - min(points, found * rows)) / wall_s if wall_s else 0.0
    click.echo(f"{points:,} designs in {where} ({rate:,.0f} a second)", err=True)


@contextmanager
def _progress(total: int, found: int) -> Iterator[Callable[[int], Any]]:
    """Show a bar with rate and time left on a terminal; nothing anywhere else."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Designs a second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed or 0:,.0f} designs/s")

    bar = Progress(BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn(), console=Console(stderr=True))
    with bar:
        task = bar.add_task("designs", total=total, completed=found)
        yield lambda count: bar.advance(task, count)
