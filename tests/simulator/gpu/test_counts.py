"""The closed form of steps per tile against the mask, element by element."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.targets.gpu.counts import count_pairs, count_steps, floor_sum

extents = st.integers(1, 70)
blocks = st.integers(1, 24)


@given(st.integers(0, 40), st.integers(1, 30), st.integers(0, 60), st.integers(0, 60))
def test_floor_sum_is_the_sum_of_floors(n: int, m: int, a: int, b: int) -> None:
    assert floor_sum(n, m, a, b) == sum((a * i + b) // m for i in range(n))


@given(extents, extents, blocks, blocks, st.integers(-90, 40), st.integers(1, 90))
def test_steps_are_the_blocks_that_a_tile_needs(
    rows: int, columns: int, tile: int, block: int, low: int, width: int
) -> None:
    high = low + width
    steps = []
    for start in range(0, rows, tile):
        rows_here = range(start, min(rows, start + tile))
        first = max(0, rows_here[0] + low)
        last = min(columns, rows_here[-1] + high)
        steps.append(len({column // block for column in range(first, last)}))
    assert count_steps(rows, columns, tile, block, low, high) == (sum(steps), max(steps))


@given(extents, extents, st.integers(-90, 40), st.integers(1, 90))
def test_pairs_are_the_kept_ones(rows: int, columns: int, low: int, width: int) -> None:
    kept = sum(row + low <= column < row + low + width for row in range(rows) for column in range(columns))
    assert count_pairs(rows, columns, low, low + width) == kept
