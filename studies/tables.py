"""Tables of others' figures that studies read: CSV files whose first lines, after `#`, say where they are from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_table"]


def read_table(stem: str) -> pd.DataFrame:
    """Return a table of `studies/data` by the stem of its file.

    >>> len(read_table("decode_a100"))
    300
    """
    import pandas as pd

    return pd.read_csv(Path(__file__).parent / "data" / f"{stem}.csv", comment="#")
