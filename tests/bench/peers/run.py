"""Time other tools on the nearest work that they can express, beside attnsim in the same run.

Run as `python tests/bench/peers/run.py`, with the Python that has attnsim. Each peer is installed in an environment of
its own under `build/peers/`, at a fixed version; one that does not install or run is listed with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
POINTS = {"P1": (1, 1024), "P2": (64, 16384)}  # batch, and extent of queries and keys; 12 heads of 64, 16-bit words
OURS = "attnsim"


@dataclass(frozen=True)
class Peer:
    """A tool: what pip installs, and how its work differs from ours (three Einsums, one after another)."""

    name: str
    requirements: tuple[str, ...]
    pythons: tuple[str, ...]
    unequal: str


PEERS = (
    Peer(
        "accelforge",
        ("accelforge==1.0.467",),
        ("3.12", "3.13"),
        "same machine, constraint and cascade; search over all its mappings, ours of `block` over block sizes only",
    ),
    Peer(
        "zigzag",
        ("zigzag-dse==3.9.1", "six"),  # it imports six without declaring it
        ("3.12", "3.13"),
        "no softmax; scores go through DRAM; search over spatial and temporal mappings",
    ),
    Peer(
        "genz",
        ("genz-llm==0.0.16",),
        ("3.12", "3.13"),
        "a roofline: no mapping, softmax free, all MACs busy",
    ),
    Peer(
        "stream",
        ("stream-dse==2.1.1", "six"),
        ("3.13", "3.12"),
        "one head on its own example chip; a real softmax; a mixed-integer program places and schedules it",
    ),
)

BARS = tuple(
    (peer, work, own, bar)
    for peers, work, owns, bar in (
        (("accelforge",), "given", ("given", "given-compiled", "given-sweep"), 1000),
        (("accelforge", "zigzag"), "search", ("block", "block-sweep", "search"), 100),
    )
    for peer in peers
    for own in owns
)  # how many times faster than a peer's work a work of ours is to be


def find_python(versions: Sequence[str], given: Sequence[str]) -> str | None:
    """Return a Python of one of the versions: of those given, then `pythonX.Y` on the path."""
    found = {}
    for command in [*given, *(shutil.which(f"python{version}") or "" for version in versions)]:
        if command:
            code = "import sys; print('%d.%d' % sys.version_info[:2])"
            done = subprocess.run([command, "-c", code], capture_output=True, text=True, check=False)
            found.setdefault(done.stdout.strip(), command)
    return next((found[version] for version in versions if version in found), None)


def install(peer: Peer, build: Path, given: Sequence[str]) -> Path:
    """Return the Python of a peer's environment, made when it is not there; RuntimeError where that fails."""
    home = build / peer.name
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = home / "requirements"
    wanted = "\n".join(peer.requirements)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    base = find_python(peer.pythons, given)
    if base is None:
        raise RuntimeError(f"no Python {' or '.join(peer.pythons)}: put one on PATH or name it with --python")
    checked([base, "-m", "venv", "--clear", str(home)])
    checked([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *peer.requirements])
    stamp.write_text(wanted, encoding="utf-8")
    return python


def checked(command: list[str], timeout: float | None = None, **options: Any) -> str:
    """Return what a command prints; RuntimeError with its last line where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, **options)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not finished after {timeout:g} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RuntimeError(lines[-1].strip()[:160])
    return done.stdout


def measure(name: str, python: str, timeout: float, build: Path) -> Iterator[dict[str, Any]]:
    """Yield what a tool's driver timed at each point, or why it timed nothing."""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    if name == OURS:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    for point, extents in POINTS.items():
        command = [python, str(HERE / "drivers.py"), name, *map(str, extents)]
        try:
            lines = checked(command, timeout, env=environment, cwd=build).splitlines()
            rows = [json.loads(line) for line in lines]
        except RuntimeError as error:
            rows = [{"work": "-", "what": "-", "why": str(error)}]
        yield from ({"peer": name, "point": point, **row} for row in rows)


def ratios(row: dict[str, Any], ours: dict[tuple[str, str], float]) -> list[str]:
    """Return how many times longer a peer took than ours: one at a time, in a sweep, by search."""
    works = {"given": ("given", "given-sweep", None), "search": ("block", "block-sweep", "search")}
    found = []
    for work in works.get(row["work"], (None, None, None)):
        base = ours.get((row["point"], work)) if work else None
        found.append(f"{row['seconds'] / base:,.3g}" if base and row.get("seconds") else "-")
    return found


def table(rows: list[dict[str, Any]], versions: dict[str, str]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    ours = {(row["point"], row["work"]): row["seconds"] for row in rows if row["peer"] == OURS and "seconds" in row}
    heads = ["tool", "version", "work", "what", "point", "first s", "s a point", "latency us"]
    yield "| " + " | ".join([*heads, "/ ours, one", "/ ours, swept", "/ ours, searched"]) + " |"
    yield "|" + " --- |" * (len(heads) + 3)
    for row in rows:
        cells = [row["peer"], versions.get(row["peer"], "-"), row["work"], row["what"], row["point"]]
        if "why" in row:
            cells += [f"not timed: {row['why']}", *["-"] * 5]
        else:
            latency = f"{row['latency_s'] * 1e6:,.2f}" if row["latency_s"] else "-"
            times = [f"{row[name]:.3g}" if name in row else "-" for name in ("first", "seconds")]
            cells += [*times, latency, *(ratios(row, ours) if row["peer"] != OURS else ["-"] * 3)]
        yield "| " + " | ".join(cells) + " |"


def verdicts(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield for each bar whether it is met at each point."""
    seconds = {(row["peer"], row["point"], row["work"]): row["seconds"] for row in rows if "seconds" in row}
    for peer, work, own, bar in BARS:
        for point in POINTS:
            theirs, ours = seconds.get((peer, point, work)), seconds.get((OURS, point, own))
            if theirs and ours:
                met = "met" if theirs / ours >= bar else "not met"
                yield f"- {point}, {peer} `{work}` >= {bar:,} x ours `{own}`: {theirs / ours:,.3g} x, {met}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [peer.name for peer in PEERS]
    parser.add_argument("--peer", action="append", choices=names, help="only this one; repeat for more")
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help="a Python for the peers")
    parser.add_argument("--timeout", type=float, default=600, metavar="S", help="of one tool at one point (600)")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "peers", help="where environments are made")
    given = parser.parse_args()
    build = given.build.resolve()
    build.mkdir(parents=True, exist_ok=True)
    rows, versions = [], {}
    for peer in PEERS:
        if given.peer and peer.name not in given.peer:
            continue
        sys.stderr.write(f"{peer.name} ...\n")
        versions[peer.name] = peer.requirements[0].partition("==")[2]
        try:
            rows += measure(peer.name, str(install(peer, build, given.python)), given.timeout, build)
        except RuntimeError as error:
            rows.append({"peer": peer.name, "point": "-", "work": "-", "what": "-", "why": str(error)})
    sys.stderr.write(f"{OURS} ...\n")
    rows += measure(OURS, sys.executable, given.timeout, build)
    lines = [f"Python {platform.python_version()}, {platform.system()} {platform.machine()}; CPU seconds", ""]
    lines += [*table(rows, versions), ""]
    lines += [f"- {peer.name}: {peer.unequal}." for peer in PEERS if peer.name in versions]
    lines += ["", *verdicts(rows)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
