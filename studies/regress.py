"""What our own past says: each study's tables and card against golden files, so that a changed number is seen.

A golden folder holds a folder a study, with `card.csv` and each table, of which at most `ROWS` rows are kept, evenly
spaced. Golden is our own output, not the truth: the card beside it says what papers publish.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from einsum_cascades.diagnostics import StudyError
from studies.output import replacing
from studies.study import Result

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GOLDEN", "ROWS", "Change", "Comparison", "compare", "write_golden"]

GOLDEN = Path(__file__).parent / "golden"
ROWS = 60


@dataclass(frozen=True, slots=True)
class Change:
    """One figure that is not what it was: where it stands, what it was and what it is (None where it is missing)."""

    table: str
    row: str
    column: str
    golden: float | str | None
    current: float | str | None

    def __str__(self) -> str:
        return f"{self.table}, {self.row}: {self.column} was {_show(self.golden)}, is {_show(self.current)}"


@dataclass(frozen=True)
class Comparison:
    """A study beside its past: the points compared, and what changed.

    `ratios` holds current over golden by table and column, for a picture; `missing` is true where there is no past.
    """

    study: str
    points: int
    changes: tuple[Change, ...]
    ratios: dict[str, list[float]]
    missing: bool = False

    @property
    def verdict(self) -> str:
        """`same`, `changed`, or `new` where nothing golden is known."""
        if self.missing:
            return "new"
        return "changed" if self.changes else "same"


def write_golden(study: str, result: Result, folder: Path) -> None:
    """Replace the golden files of a study by what it says now."""
    import pandas as pd

    home = folder / study
    home.mkdir(parents=True, exist_ok=True)
    tables = _all_tables(result)
    for stem, table in tables.items():
        text = io.StringIO()
        text.write(f"# rows: {len(table)}\n")
        pd.DataFrame(_sample(table)).to_csv(text, index=False, float_format="%.9g", lineterminator="\n")
        with replacing(home / f"{stem}.csv") as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8", newline="\n")
    for old in home.glob("*.csv"):
        if old.stem not in tables:
            old.unlink()


def compare(study: str, result: Result, folder: Path, tolerance: float = 1e-6) -> Comparison:
    """Return what differs by more than a relative `tolerance` between a study's result and its golden files."""
    home = folder / study
    if not home.is_dir():
        return Comparison(study, 0, (), {}, missing=True)
    changes: list[Change] = []
    ratios: dict[str, list[float]] = {}
    points = 0
    tables = _all_tables(result)
    past = {path.stem: _read(path) for path in sorted(home.glob("*.csv"))}
    for stem in sorted({*tables, *past}):
        if stem not in past or stem not in tables:
            sides = [stem if stem in held else None for held in (past, tables)]
            changes.append(Change(stem, "table", "whole", *sides))
            continue
        rows, golden = past[stem]
        if rows != len(tables[stem]):
            changes.append(Change(stem, "table", "rows", rows, len(tables[stem])))
            continue
        current = _through_text(_sample(tables[stem]))
        for row, column, was, now in _cells(golden, current):
            points += 1
            if isinstance(was, float) and isinstance(now, float) and was:
                ratios.setdefault(f"{stem}: {column}", []).append(now / was)
            if not _alike(was, now, tolerance):
                changes.append(Change(stem, row, column, was, now))
    return Comparison(study, points, tuple(changes), ratios)


def _all_tables(result: Result) -> dict[str, pd.DataFrame]:
    """Return the tables of a result and its card as one more."""
    import pandas as pd

    card = [
        {"claim": c.claim, "published": c.published, "ours": c.ours, "low": c.low, "high": c.high, "verdict": c.verdict}
        for c in result.card
    ]
    return {**result.tables, "card": pd.DataFrame(card)}


def _sample(table: pd.DataFrame) -> pd.DataFrame:
    """Return at most `ROWS` rows of a table, evenly spaced, the first and the last among them; a card whole."""
    if len(table) <= ROWS or "claim" in table.columns:
        return table
    return table.iloc[[round(n * (len(table) - 1) / (ROWS - 1)) for n in range(ROWS)]]


def _through_text(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as it reads back from a file, so that both sides of a comparison went the same way."""
    import pandas as pd

    text = table.to_csv(index=False, float_format="%.9g")
    return pd.read_csv(io.StringIO(text), keep_default_na=False, dtype=str)


def _read(path: Path) -> tuple[int, pd.DataFrame]:
    import pandas as pd

    head, _, text = path.read_text(encoding="utf-8").partition("\n")
    if not head.startswith("# rows: ") or not head[8:].isdecimal():
        raise StudyError(
            f"{path}: a golden file begins with '# rows: N'; make it with 'attnsim regress --update-golden'"
        )
    return int(head[8:]), pd.read_csv(io.StringIO(text), keep_default_na=False, dtype=str)


_Value = float | str | None


def _cells(golden: pd.DataFrame, current: pd.DataFrame) -> Iterator[tuple[str, str, _Value, _Value]]:
    """Yield row, column, golden and current value of each cell; a column that one side lacks has None there."""
    columns = list(dict.fromkeys((*golden.columns, *current.columns)))
    for n in range(min(len(golden), len(current))):
        for column in columns:
            was = _value(golden[column].iloc[n]) if column in golden else None
            now = _value(current[column].iloc[n]) if column in current else None
            yield _row_name(current, n), column, was, now


def _row_name(table: pd.DataFrame, n: int) -> str:
    """Return what tells a row from others: its words, or the first two numbers."""
    cells = [str(cell) for cell in table.iloc[n]]
    words = [cell for cell in cells if cell and isinstance(_value(cell), str) and cell not in ("True", "False")]
    return " ".join(words[:3] or cells[:2]) or f"row {n + 1}"


def _value(text: str) -> _Value:
    try:
        return float(text)
    except ValueError:
        return text


def _alike(was: _Value, now: _Value, tolerance: float) -> bool:
    if isinstance(was, float) and isinstance(now, float):
        return (
            was == now
            or (math.isnan(was) and math.isnan(now))
            or math.isclose(was, now, rel_tol=tolerance, abs_tol=1e-15)
        )
    return was == now


def _show(value: _Value) -> str:
    return "missing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
