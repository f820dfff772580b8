"""What a user's installation holds: versions, extras, caches, folders."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path

from einsum_cascades.registry import display_path, user_folders

__all__ = ["examine", "install_hint"]

Row = dict[str, str]


def examine() -> list[Row]:
    """Return a row for each thing that matters to a run: what it is, whether it is well, what was found.

    >>> examine()[0]["what"]
    'python'
    """
    rows = [_row("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    try:
        version, needed = metadata.version("attnsim"), metadata.requires("attnsim") or []
    except metadata.PackageNotFoundError:
        return [*rows, _row("attnsim", False, "not installed; run 'pip install .' in the checkout")]
    rows.append(_row("attnsim", True, version))
    extras: dict[str, list[str]] = {}
    for line in needed:
        name, _, condition = line.partition(";")
        match = re.search(r"extra == ['\"]([\w-]+)['\"]", condition)
        extras.setdefault(match[1] if match else "", []).append(re.split(r"[\s<>=!~\[(]", name.strip(), maxsplit=1)[0])
    for package in extras.pop("", []):
        found = _version(package)
        rows.append(_row(package, found is not None, found or "missing; install attnsim again"))
    for extra, packages in sorted(extras.items()):
        absent = [package for package in dict.fromkeys(packages) if package != "attnsim" and _version(package) is None]
        text = "installed" if not absent else f"lacks {', '.join(absent)}; {install_hint(extra)}"
        rows.append(_row(f"extra {extra}", not absent, text))
    return [*rows, *_places()]


def install_hint(extra: str, root: Path = Path(__file__).parent.parent) -> str:
    """Return the command that installs an extra: from the index of packages, or in the checkout at `root` from it.

    >>> install_hint("report", Path("/nowhere"))
    "pip install 'attnsim[report]'"
    """
    return f'pip install ".[{extra}]"' if (root / "pyproject.toml").is_file() else f"pip install 'attnsim[{extra}]'"


def _places() -> list[Row]:
    from simulator.kernels.folder import kept_folder

    cache = kept_folder()
    known = ", ".join(display_path(folder) for folder in user_folders()) or "none; set ATTNSIM_PATH to add one"
    colours = "off" if os.environ.get("NO_COLOR") else "on a terminal, off when piped; NO_COLOR=1 turns them off"
    return [
        _row(
            "compiled kernels",
            cache is not None,
            _shown(cache) if cache else "not kept (ATTNSIM_NO_CACHE, or no folder)",
        ),
        _row("library folders", True, known),
        _row("cores", True, str(os.cpu_count())),
        _row("colours", True, colours),
    ]


def _shown(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if path.is_relative_to(home) else str(path)


def _row(what: str, well: bool, found: str) -> Row:
    return {"what": what, "ok": "yes" if well else "no", "found": found}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
