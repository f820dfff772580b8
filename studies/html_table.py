"""The pages of a sweep and of a study: every design with its front, or a card with its figures and tables."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from einsum_cascades.diagnostics import StudyError
from studies.html_page import Section, chart
from studies.study import Result, Study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_sweep", "study_sections", "sweep_sections"]

_OBJECTIVES = ("latency_s", "energy_j", "area_um2", "traffic_bytes")
_MOST_POINTS = 20_000


def read_sweep(path: Path) -> pd.DataFrame:
    """Return the table of a sweep, CSV or Parquet; StudyError where it is none."""
    import pandas as pd

    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (ImportError, OSError, ValueError) as error:
        raise StudyError(f"{path}: cannot be read as the table of a sweep: {error}") from error
    if "latency_s" not in table.columns:
        raise StudyError(f"{path}: has no column 'latency_s': not the table of a sweep")
    return table


def sweep_sections(table: pd.DataFrame) -> Iterator[Section]:
    """Yield the sections of a sweep: its front of latency and each other objective, then the best designs."""
    feasible = table[table["feasible"]] if "feasible" in table else table
    bad = len(table) - len(feasible)
    yield Section("The sweep", f"{len(table)} designs, {bad} of them infeasible.", rows=_reasons(table))
    axes = _axes(table)
    for objective in _OBJECTIVES[1:]:
        if objective in feasible and feasible[objective].notna().any() and feasible[objective].nunique() > 1:
            yield _front_section(feasible, axes, objective)
    best = feasible.sort_values("latency_s").head(50)
    yield Section("The fifty fastest", rows=_records(best))


def find_front(first: Sequence[float], second: Sequence[float]) -> list[int]:
    """Return the positions, by the first figure, of the points that no other point beats in both.

    >>> find_front([1.0, 2.0, 3.0], [5.0, 6.0, 1.0])
    [0, 2]
    """
    order = sorted(range(len(first)), key=lambda n: (first[n], second[n]))
    front: list[int] = []
    for n in order:
        if not front or second[n] < second[front[-1]]:
            front.append(n)
    return front


def study_sections(study: Study, result: Result) -> Iterator[Section]:
    """Yield the sections of a study: its card, each figure, each table."""
    card = [
        {
            "claim": c.claim,
            "published": c.published,
            "ours": c.ours,
            "ours over published": c.ratio,
            "verdict": c.verdict,
            "assumptions": c.assumptions,
            "source": c.source,
        }
        for c in result.card
    ]
    yield Section("The card", f"{study.question}\n{study.paper}", rows=card)
    for stem, figure in result.figures.items():
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        drawing = text.getvalue()
        yield Section(stem.replace("_", " "), drawing=_scoped(drawing[drawing.index("<svg") :], stem))
    for stem, table in result.tables.items():
        yield Section(stem.replace("_", " ") + " (table)", rows=_records(table))


def _scoped(svg: str, stem: str) -> str:
    """Return an SVG whose identifiers are its own, so that many can stand in one page."""
    for mark in ('id="', 'href="#', "url(#"):
        svg = svg.replace(mark, f"{mark}{stem}-")
    return svg


def _front_section(table: pd.DataFrame, axes: Sequence[str], objective: str) -> Section:
    known = table[table[objective].notna()]
    shown = known if len(known) <= _MOST_POINTS else known.sample(_MOST_POINTS, random_state=0)
    front = known.iloc[find_front(known["latency_s"].tolist(), known[objective].tolist())]
    traces = [
        _points(shown, axes, objective, "every design", {"mode": "markers", "marker": {"size": 5, "opacity": 0.5}}),
        _points(front, axes, objective, "the front", {"mode": "lines+markers", "marker": {"size": 8}}),
    ]
    log = {"type": "log", "exponentformat": "power"}
    text = f"{len(front)} designs are beaten by none in both. Hover for a design."
    if len(shown) < len(known):
        text += f" Of {len(known)} points {len(shown)}, drawn by lot, and the whole front are shown."
    picture = chart(traces, x="latency, s", y=objective, height=460, xaxis=log, yaxis=log)
    return Section(f"Latency against {objective}", text, picture, rows=_records(front))


def _points(
    table: pd.DataFrame, axes: Sequence[str], objective: str, name: str, look: dict[str, Any]
) -> dict[str, Any]:
    hover = ["<br>".join(f"{axis} = {row[axis]}" for axis in axes) for row in _records(table)]
    marks = {"x": table["latency_s"].tolist(), "y": table[objective].tolist(), "text": hover}
    kind = "scattergl" if len(table) > 2000 else "scatter"
    return {"type": kind, "name": name, "hovertemplate": "%{text}<br>%{x} s, %{y}<extra></extra>", **marks, **look}


def _axes(table: pd.DataFrame) -> list[str]:
    """Return the columns before the first result that differ between designs."""
    columns = list(table.columns)
    ends = [columns.index(name) for name in (*_OBJECTIVES, "feasible") if name in columns]
    return [name for name in columns[: min(ends)] if table[name].nunique() > 1]


def _reasons(table: pd.DataFrame) -> list[dict[str, Any]]:
    if "why" not in table:
        return []
    counted = table.loc[~table["feasible"], "why"].fillna("").value_counts()
    return [{"designs": int(count), "why they cannot be": why} for why, count in counted.head(20).items()]


def _records(table: pd.DataFrame) -> list[Mapping[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
