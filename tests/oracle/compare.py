"""Pass counts of the analysis beside those of the unrolling oracle."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from einsum_cascades.ir import Cascade
from einsum_cascades.passes import count_passes
from tests.oracle.unroll import BORDER, Unrolled, count


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Unrolled dependences are followed by recursion, one level per generation and Einsum."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 20_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@deep_recursion()
def compare_passes(cascade: Cascade, extents: dict[str, int], ranks: set[str]) -> tuple[int, list[str]]:
    """How many counts were compared, and a line for each that differs."""
    passes = count_passes(cascade)
    factors = {e.name: e.factors for e in cascade.extents}
    compared, differences = 0, []
    for tensor in cascade.tensors:
        for rank, found in passes.reads[tensor.name].items():
            groups = [(i,) for i, r in enumerate(tensor.ranks) if r == rank]
            if not groups and len(factors[rank]) > 1 and set(factors[rank]) <= set(tensor.ranks):
                groups = [tuple(tensor.ranks.index(f) for f in factors[rank])]
            if rank not in ranks or not groups:
                continue
            tile = extents[factors[rank][-1]] if len(factors[rank]) > 1 else 1
            unrolled = Unrolled(cascade, extents, 2 * tile if tile > 1 else BORDER)
            for kind in ("direct", "lineage"):
                counts = [count(unrolled, tensor.name, g, lineage=kind == "lineage") for g in groups]
                if None in counts:
                    continue
                ours = getattr(found, kind).passes.evaluate(extents)
                compared += 1
                if max(counts) != ours:
                    differences.append(f"{tensor.name} over {rank}, {kind}: oracle {max(counts)}, analysis {ours}")
    return compared, differences
