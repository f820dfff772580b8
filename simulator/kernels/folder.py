"""Where what is costly to make is kept between runs: compiled kernels, and the answers of searches."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["kept_folder"]


def kept_folder() -> Path | None:
    """Return the folder, made if need be: `ATTNSIM_CACHE`, else `attnsim` in the user's cache folder.

    None where nothing is to be kept: with `ATTNSIM_NO_CACHE=1`, or where it cannot be written.
    """
    if os.environ.get("ATTNSIM_NO_CACHE"):
        return None
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("ATTNSIM_CACHE") or Path(base) / "attnsim")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
