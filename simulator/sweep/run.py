"""A sweep evaluated block by block, many designs at a time where they differ in numbers only.

What is to be run in cycles is bounded first, many at a time; the engine then runs the feasible designs one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from simulator.sweep.scalar import as_table, run_rows, scalar_rows
from simulator.sweep.space import Space, Table
from simulator.sweep.vector import Vector, make_vector

__all__ = ["Sweep"]


@dataclass
class Sweep:
    """A space with the way in which its designs are evaluated."""

    space: Space
    vector: Vector | None = field(init=False)

    def __post_init__(self) -> None:
        self.vector = make_vector(self.space)

    @property
    def block(self) -> int:
        """How many designs are evaluated at a time; it depends on the sweep alone."""
        if self.space.method == "cycle":
            return 16
        if self.vector is None:
            return 64
        tried = len(self.vector.structures) * (8 if self.vector.tiles.knobs else 1)
        return max(256, (32_768 if self.vector.compiles else 16_384) // tried)

    def table(self, start: int, stop: int) -> Table:
        """Return the rows of designs `start` to `stop`."""
        numbers = np.arange(start, stop)
        if self.vector is None:
            return as_table(self.space, scalar_rows(self.space, numbers))
        bounded = self.vector.table(numbers)
        return bounded if self.space.method == "bound" else as_table(self.space, run_rows(self.space, bounded))

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Table]:
        """Yield the rows of designs `start` to `stop`, a block at a time."""
        end = self.space.points if stop is None else min(stop, self.space.points)
        for first in range(start, end, self.block):
            yield self.table(first, min(first + self.block, end))
