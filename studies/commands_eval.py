"""`attnsim eval`: one design, and what it costs."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Literal, cast

import click

from einsum_cascades.diagnostics import Problem, SpecError
from studies.cli import library_folders
from studies.compiling import telling_of_compiling
from studies.output import Output, emit, output_options

__all__ = ["eval_command", "parse_assignment", "parse_extent"]

_POWER = re.compile(r"([0-9]+)(?:(?:\^|\*\*)([0-9]+))?")


def parse_assignment(word: str, example: str) -> tuple[str, str]:
    """Return name and value of `name=value`; SpecError for a word of another form."""
    name, equals, value = word.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise SpecError(Problem(f"'{word}' is not of the form NAME=VALUE", hint=f"write e.g. {example}"))
    return name.strip(), value.strip()


def parse_extent(name: str, value: str) -> int:
    """Return a positive whole number, written plainly or as a power (`2^20`)."""
    match = _POWER.fullmatch(value)
    if match is None or len(value) > 18 or int(match[2] or 1) > 62:
        raise SpecError(f"extent {name} is a whole number, or a power such as 2^20, found '{value}'")
    number = int(match[1]) ** int(match[2] or 1)
    if number < 1:
        raise SpecError(f"extent {name} = {value}: an extent is a positive integer")
    return int(number)


@click.command("eval")
@click.argument("cascade")
@click.argument("arch")
@click.argument("extents", nargs=-1, metavar="[EXTENT=N ...]")
@click.option("--workload", metavar="NAME", help="A named shape; extents given beside it win.")
@click.option("--set", "settings", multiple=True, metavar="PART.FIELD=VALUE", help="Change a number of the machine.")
@click.option("--mapping", metavar="NAME", help="How to map the cascade; the architecture names a default.")
@click.option(
    "--method",
    type=click.Choice(["bound", "cycle"]),
    default="bound",
    help="At its ceiling (bound, the default), or run task by task (cycle).",
)
@click.option(
    "--accounting", metavar="NAME", default="clean", help="published, clean (the default), all_registers, ports."
)
@click.option("--sensitivity", "worth", is_flag=True, help="Also: what ten percent more of each number saves.")
@output_options
def eval_command(
    cascade: str,
    arch: str,
    extents: tuple[str, ...],
    workload: str | None,
    settings: tuple[str, ...],
    mapping: str | None,
    method: str,
    accounting: str,
    worth: bool,
    output: Output,
) -> None:
    """Evaluate one design: CASCADE with its extents on ARCH.

    Example: attnsim eval attention_1pass fusemax --workload bert M=65536 --set pe2d.rows=128
    """
    from simulator import library
    from simulator.evaluate import evaluate
    from simulator.sensitivity import sensitivity
    from simulator.workload import Workload

    search = library_folders()
    parsed = library.load_cascade(cascade, search)
    preset = library.load_workload(workload, search) if workload else None
    given = dict(parse_assignment(word, "M=4096") for word in extents)
    shaped = Workload.of(parsed, preset, **{name: parse_extent(name, value) for name, value in given.items()})
    machine = library.load_machine(arch, search)
    template = library.load_mapping(mapping, search) if mapping else None
    changes = dict(parse_assignment(word, "pe2d.rows=128") for word in settings)
    design = library.make_design(shaped, machine, template, changes, search, accounting)
    how = cast(Literal["bound", "cycle"], method)
    with telling_of_compiling(wanted=how == "cycle"):
        report = evaluate(design, accounting, how)
    answer = report.to_json()
    if worth:
        knobs = {name: value for name, value in changes.items() if name.startswith("mapping.")}
        table = sensitivity(
            lambda chip: library.make_design(shaped, chip, template, knobs, search), design.architecture, how
        )
        answer["sensitivity"] = [asdict(row) for row in table]
    if output.format == "table" and output.path is None:
        click.echo(str(report))
        click.echo()
        if worth:
            rows = [
                {"ten percent more of": r["number"], "saves": r["saved"], "why": r["why"]}
                for r in answer["sensitivity"]
            ]
            emit(rows, output)
            click.echo()
    emit(answer, output, rows=answer["rows"])
