"""The timing functions over columns: the same source as for one problem, compiled into one loop over rows.

Machine code is kept on disk in a folder named after the sources and the compiler; `ATTNSIM_NO_CACHE=1` switches that
off, and a folder that cannot be written is not an error.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from simulator.targets.gpu import chunks, counts, split, tiles, waves
from simulator.targets.gpu import columns as c
from simulator.targets.gpu.row import run_row

__all__ = ["run_columns"]

_INNER = (
    counts.floor_sum, counts._sum_ceil_clipped, counts._sum_floor_clipped, counts._tile_steps, counts.count_steps,
    split.choose_splits, split.run_wave, split.split_keys, split.pad, split.time_split, chunks.time_chunks,
    tiles.count_work, tiles.combine, tiles.step_alone, tiles.overhead, tiles.merge_parts, tiles.split_tiles,
    tiles.spread, tiles.hold_power, tiles.pipe_of, tiles.time_tiles,
    waves.join_wave, waves.part_keys, waves.time_waves, run_row,
)  # fmt: skip
_OPTIONS = {"error_model": "numpy", "nogil": True}


def run_columns(shapes: np.ndarray, setups: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the outcomes of many problems: row i of `shapes` under setup `index[i]`.

    All are contiguous float64 but `index`, int64; columns as in `simulator.targets.gpu.columns`.
    """
    out = np.zeros((len(shapes), c.OUTCOME))
    _compiled()(shapes, setups, index, out)
    return out


def _loop(shapes: Any, setups: Any, index: Any, out: Any) -> None:
    work: Any = np.zeros(c.WORK)
    for i in range(shapes.shape[0]):
        run_row(shapes[i], setups[index[i]], work, out[i])


@cache
def _compiled() -> Callable[..., None]:
    import numba as typed_numba  # noqa: PLC0415 - heavy, and not needed for one prediction
    from numba.extending import register_jitable  # noqa: PLC0415

    numba: Any = typed_numba
    for function in _INNER:
        register_jitable(**_OPTIONS)(function)
    if os.environ.get("ATTNSIM_NO_CACHE") == "1":
        return cast(Callable[..., None], numba.njit(**_OPTIONS)(_loop))
    before = numba.config.CACHE_DIR
    try:
        numba.config.CACHE_DIR = str(_folder(numba.__version__))
        return cast(Callable[..., None], numba.njit(**_OPTIONS, cache=True)(_loop))
    except (RuntimeError, OSError):
        return cast(Callable[..., None], numba.njit(**_OPTIONS)(_loop))
    finally:
        numba.config.CACHE_DIR = before


def _folder(version: str) -> Path:
    digest = hashlib.sha256(version.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "attnsim" / f"gpu-{digest.hexdigest()[:16]}"
