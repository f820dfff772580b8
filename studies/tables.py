"""Tables of others' figures that studies read: CSV files whose first lines, after `#`, say where they are from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["pick_row", "read_table"]


def read_table(stem: str) -> pd.DataFrame:
    """Return a table of `studies/data` by the stem of its file.

    >>> len(read_table("decode_a100"))
    300
    """
    import pandas as pd

    return pd.read_csv(Path(__file__).parent / "data" / f"{stem}.csv", comment="#")


def pick_row(table: pd.DataFrame, column: str, value: object) -> dict[str, float]:
    """Return the numbers of the first row in which a column has a value.

    >>> pick_row(read_table("lightning_published"), "length", 4096)["flash_ms"]
    2.740033
    """
    row = table[table[column] == value].select_dtypes("number").iloc[0]
    return {str(name): float(number) for name, number in row.items()}
