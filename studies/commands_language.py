"""The commands about cascades themselves: `passes`, `verify`, `draw`."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from einsum_cascades.diagnostics import AttnsimError, Problem, SpecError, suggest

if TYPE_CHECKING:
    from einsum_cascades.analysis import Analysis
    from einsum_cascades.ir import Cascade

__all__ = ["draw", "passes", "verify"]

P = ParamSpec("P")
_UNEQUAL = 4


def _says_why(command: Callable[P, None]) -> Callable[P, None]:
    """Turn an error that a user can cause into its message and its exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except AttnsimError as error:
            click.echo(str(error), err=True)
            raise SystemExit(error.exit_code) from None

    return wrapped


_format = click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True
)
_out = click.option("--out", type=click.Path(dir_okay=False), help="Write to this file, not to standard output.")
_library = click.option(
    "--library", "folders", multiple=True, type=click.Path(file_okay=False), help="A folder searched first."
)


def _load(name: str, folders: Iterable[str]) -> Cascade:
    from einsum_cascades.catalog import load_cascade

    return load_cascade(name, _folders(folders))


def _folders(given: Iterable[str]) -> list[str]:
    return [*given, *filter(None, os.environ.get("ATTNSIM_PATH", "").split(os.pathsep))]


def parse_extents(words: Iterable[str]) -> dict[str, int]:
    """Return extents from words such as `M=4096` or `M=2^12`. Raises SpecError with every word that is neither.

    >>> parse_extents(["M=2^12", "E=64"])
    {'M': 4096, 'E': 64}
    """
    found: dict[str, int] = {}
    problems = []
    for word in words:
        name, equals, text = word.partition("=")
        base, power, exponent = text.partition("^")
        good = equals and name and base.isdigit() and (exponent.isdigit() if power else True)
        if not good:
            problems.append(Problem(f"'{word}' is not an extent", hint="write e.g. M=4096 or M=2^12"))
        elif name in found:
            problems.append(Problem(f"extent {name} is given twice"))
        else:
            found[name] = int(base) ** int(exponent) if power else int(base)
    if problems:
        raise SpecError(problems)
    return found


def _write(text: str, out: str | None) -> None:
    if out is None:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        try:
            Path(out).write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
        except OSError as error:
            raise SpecError(f"{out}: cannot be written: {(error.strerror or 'unknown error').lower()}") from error


def _csv(rows: Iterable[Iterable[object]]) -> str:
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


@click.command()
@click.argument("cascade")
@click.argument("extents", nargs=-1, metavar="[RANK=EXTENT]...")
@_format
@_out
@_library
@_says_why
def passes(cascade: str, extents: tuple[str, ...], form: str, out: str | None, folders: tuple[str, ...]) -> None:
    """What CASCADE must cost anywhere: passes, footprints, operations, least traffic.

    As formulas; as numbers when extents are given, e.g. `attnsim passes attention_1pass M=4096 M0=256 ...`.
    """
    from einsum_cascades.analysis import analyze

    analysis = analyze(_load(cascade, folders), parse_extents(extents) or None)
    match form:
        case "json":
            _write(json.dumps(analysis.to_json(), indent=2), out)
        case "csv":
            _write(_csv(_tidy(analysis)), out)
        case _:
            _write(_table(analysis), out)


def _tidy(analysis: Analysis) -> Iterable[Iterable[object]]:
    """Yield one row a number: what it is, of which tensor or Einsum, along which rank or of which operation."""
    found = analysis.to_json()
    yield "quantity", "name", "of", "value"
    for rank, n in found["passes"].items():
        yield "passes", "", rank, n
    for tensor, ranks in found["reads"].items():
        for rank, counts in ranks.items():
            for kind, n in counts.items():
                yield f"reads_{kind}", tensor, rank, n
    for rank, levels in found["levels"].items():
        for einsum, n in levels.items():
            yield "level", einsum, rank, n
    for tensor, words in found["footprint"].items():
        yield "footprint_words", tensor, "", words
    yield "live_words", "", "", found["live"]
    for key in ("operations", "operations_strict"):
        for einsum, ops in found[key].items():
            for op, n in ops.items():
                yield key, einsum, op, n
    for op, n in found["totals"].items():
        yield "totals", "", op, n
    yield "traffic_min_words", "", "", found["traffic_min_words"]


def _table(analysis: Analysis) -> str:
    """Lay the analysis out for reading: what repeats is said once, ones and zeros are left out."""
    found = analysis.to_json()
    lines = [f"{found['cascade']}: {analysis.cascade.summary}", "", "passes"]
    for rank, n in found["passes"].items():
        chain = found["witness"][rank]
        why = f"   {' -> '.join(chain)}: each reads it all after the one before" if len(chain) > 1 else ""
        lines.append(f"  {rank:<6} {n!s:<8}{why}".rstrip())
    rank = analysis.live.rank
    if rank:
        lines += ["", f"Einsums by pass over {rank}"]
        levels = found["levels"][rank]
        for level in sorted(set(levels.values())):
            lines.append(f"  {level}  {', '.join(e for e, n in levels.items() if n == level)}")
    per = f" per point of {','.join(found['live_per'])}" if found["live_per"] else ""
    lines += ["", f"live{per}: {found['live']} words"]
    held = {t: w for t, w in found["footprint"].items() if w != 1}
    lines += [f"  {tensor:<6} at least {words}" for tensor, words in held.items()]
    for c in found["crossings"]:
        recompute = " + ".join(f"{n} {op}" for op, n in c["recompute"].items()) or "no operation"
        later = ", ".join(map(str, c["read"]))
        lines.append(f"  {c['tensor']} crosses from pass {c['written']} to {later}: keep {c['buffer_words']} words,")
        lines.append(f"      or move {c['spill_words']} words, or recompute with {recompute}")
    lines += ["", "operations"]
    lines += [f"  {op:<6} {n}" for op, n in found["totals"].items() if n != 0]
    lines += ["", f"least traffic: {found['traffic_min_words']} words"]
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("cascade")
@click.argument("extents", nargs=-1, metavar="[RANK=EXTENT]...")
@click.option("--against", metavar="NAME", help="A reference formula, or another cascade; the cascade's own otherwise.")
@_format
@_out
@_library
@_says_why
def verify(
    cascade: str, extents: tuple[str, ...], against: str | None, form: str, out: str | None, folders: tuple[str, ...]
) -> None:
    """Run CASCADE on random inputs and compare it with its reference formula, or with another cascade.

    Exit code 4 when they differ.
    """
    from einsum_cascades.equality import compare_with_cascade, compare_with_reference
    from einsum_cascades.references import REFERENCES

    first = _load(cascade, folders)
    given = parse_extents(extents) or None
    if against is None or against in REFERENCES:
        found = compare_with_reference(first, against, extents=given)
    else:
        found = compare_with_cascade(first, _other(against, folders), extents=given)
    values: dict[str, Any] = {
        "cascade": first.name,
        "equal": found.equal,
        "method": found.method,
        "max_error": found.max_error,
        "shapes": [dict(s) for s in found.shapes],
    }
    match form:
        case "json":
            _write(json.dumps(values, indent=2), out)
        case "csv":
            shown = {**values, "shapes": len(found.shapes)}
            _write(_csv([shown.keys(), shown.values()]), out)
        case _:
            verdict = "equal" if found.equal else "NOT equal"
            count = f"{len(found.shapes)} shape{'s' if len(found.shapes) != 1 else ''}"
            _write(f"{first.name}: {verdict} ({found.method}, {count}, largest error {found.max_error:.3g})\n", out)
    if not found.equal:
        raise SystemExit(_UNEQUAL)


def _other(name: str, folders: Iterable[str]) -> Cascade:
    """Return the cascade to compare with; a name that is neither a cascade nor a reference is told both lists."""
    from einsum_cascades.catalog import find_cascades
    from einsum_cascades.references import REFERENCES

    known = find_cascades(_folders(folders))
    if name in known or name.endswith(".cascade") or "/" in name:
        return _load(name, folders)
    hint = suggest(name, [*known, *REFERENCES])
    raise SpecError(Problem(f"'{name}' is neither a reference nor a cascade", hint=hint))


@click.command()
@click.argument("cascade")
@click.option("--rank", help="Colour by passes over this rank; by default the rank that is streamed.")
@click.option("--out", type=click.Path(dir_okay=False), help="An .svg or .png file; CASCADE.svg by default.")
@_library
@_says_why
def draw(cascade: str, rank: str | None, out: str | None, folders: tuple[str, ...]) -> None:
    """Draw the Einsums of CASCADE coloured by pass, with the barriers between passes."""
    from einsum_cascades.footprint import find_live
    from einsum_cascades.passes import count_passes
    from studies.draw_cascade import draw_cascade

    found = _load(cascade, folders)
    path = Path(out or f"{found.name}.svg")
    if path.suffix not in (".svg", ".png"):
        raise SpecError(Problem(f"{path}: a picture is an .svg or a .png file"))
    counted = count_passes(found)
    rank = rank or find_live(found, counted).rank
    if rank not in counted.levels:
        raise SpecError(Problem(f"'{rank}' is not a rank of {found.name}", hint=suggest(rank, counted.levels)))
    draw_cascade(found, counted.levels[rank], rank, path)
    click.echo(str(path), err=True)
