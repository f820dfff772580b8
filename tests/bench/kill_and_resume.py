"""A sweep in cycles of ten minutes, killed three times and resumed: are its bytes those of one that was not killed?

    python tests/bench/kill_and_resume.py FOLDER [--minutes 10]

It runs the sweep whole, then again with SIGKILL after about a quarter, a half and three quarters of its time, resuming
it each time, and compares the two tables. The sweep is as large as the minutes ask for, by the rate of its first part.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SWEEP = [
    *(sys.executable, "-m", "studies.cli", "sweep", "attention_1pass", "fusemax", "--workload", "bert"),
    *("--method", "cycle", "--set", "M=2^10..2^20", "--set", "pe1d.rows=64..512:64"),
    *("--set", "mapping.queries=256,512,1024", "--set", "L3.capacity=1MiB..16MiB:1MiB"),
]
DESIGNS = 11 * 8 * 3 * 16  # at each clock


def start(out: Path, clocks: int, *more: str) -> subprocess.Popen[str]:
    """Start the sweep at a number of clocks, into a file."""
    last = 500 + 10 * (clocks - 1)
    words = [*SWEEP, "--set", f"clock=500MHz..{last}MHz:10MHz", "--out", str(out), *more]
    return subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for the end, and return what was said; end this script where it went wrong."""
    _, said = process.communicate()
    if process.returncode != 0:
        sys.exit(said)
    return said.strip()


def parts_of(out: Path) -> int:
    """Return how many parts of a sweep are there."""
    return len(list(out.with_name(out.name + ".parts").glob("part-*")))


def kill_at(out: Path, clocks: int, least: int, *more: str) -> int:
    """Kill the sweep as soon as `least` parts are there, and return how many then are."""
    process = start(out, clocks, *more)
    while parts_of(out) < least:
        if process.poll() is not None:
            sys.exit(f"the sweep ended before it was killed: {finish(process)}")
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return parts_of(out)


def main() -> None:
    """Run, kill, resume, compare, and write what was found as `result.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    begun = time.monotonic()
    finish(start(given.folder / "first.csv", 1))
    rate = DESIGNS / (time.monotonic() - begun)
    clocks = max(1, round(given.minutes * 60 * rate / DESIGNS * 1.1))
    begun = time.monotonic()
    finish(start(given.folder / "whole.csv", clocks))
    whole_s = time.monotonic() - begun
    out = given.folder / "killed.csv"
    total = -(-clocks * DESIGNS // 16)
    begun = time.monotonic()
    there = [kill_at(out, clocks, total * n // 4, *(["--resume"] if n > 1 else [])) for n in (1, 2, 3)]
    said = finish(start(out, clocks, "--resume"))
    hashes = [hashlib.sha256((given.folder / name).read_bytes()).hexdigest() for name in ("whole.csv", "killed.csv")]
    result = {
        "designs": clocks * DESIGNS,
        "parts": total,
        "whole_s": round(whole_s, 1),
        "killed_s": round(time.monotonic() - begun, 1),
        "parts_at_each_kill": there,
        "sha256": hashes,
        "identical": hashes[0] == hashes[1],
        "said": said,
    }
    text = json.dumps(result, indent=2) + "\n"
    (given.folder / "result.json").write_text(text)
    sys.stdout.write(text)
    sys.exit(0 if result["identical"] else 1)


if __name__ == "__main__":
    main()
