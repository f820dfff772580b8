"""The clock and power of a card while it works, read from `nvidia-smi` and changing nothing."""

from __future__ import annotations

import subprocess
import threading
import time
from statistics import fmean

__all__ = ["PowerLog", "parse_sample"]

_QUERY = ("nvidia-smi", "--query-gpu=clocks.sm,power.draw", "--format=csv,noheader,nounits", "-lms", "100")


class PowerLog(threading.Thread):
    """Samples ten times a second from `start` to `stop`; silent where there is no `nvidia-smi`."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._samples: list[tuple[float, float, float]] = []
        self._process: subprocess.Popen[str] | None = None

    def run(self) -> None:
        """Read samples until the process ends."""
        try:
            self._process = subprocess.Popen(_QUERY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            return
        for line in self._process.stdout or ():
            if (sample := parse_sample(line)) is not None:
                self._samples.append((time.perf_counter(), *sample))

    def mean(self, start_s: float, end_s: float) -> tuple[float, float] | None:
        """Return the mean clock in MHz and power in W between two times of `perf_counter`; None without a sample."""
        within = [s for s in list(self._samples) if start_s <= s[0] <= end_s]
        return (fmean(s[1] for s in within), fmean(s[2] for s in within)) if within else None

    def stop(self) -> None:
        """End the sampling."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()


def parse_sample(line: str) -> tuple[float, float] | None:
    """Return (MHz, W) of one line of `nvidia-smi`; None for one that is not two numbers.

    >>> parse_sample("1755, 642.31"), parse_sample("[N/A], [N/A]")
    ((1755.0, 642.31), None)
    """
    try:
        clock, power = map(float, line.split(","))
    except ValueError:
        return None
    return clock, power
