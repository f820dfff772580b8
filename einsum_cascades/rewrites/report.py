"""What a search over rewrites answers, as plain values and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from einsum_cascades.analysis import Analysis, analyze
from einsum_cascades.ir import Cascade
from einsum_cascades.printer import print_cascade
from einsum_cascades.rewrites.objectives import sample_extents
from einsum_cascades.rewrites.search import Found, Rewriting

__all__ = ["describe_rewriting", "trace_rewriting"]


def describe_rewriting(rewriting: Rewriting, extents: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return the keys of `attnsim rewrite --format json`; with extents, numbers in the place of formulas.

    Where extents leave the tiles of a split rank open, they are as `sample_extents` chooses.
    """
    return {
        "cascade": rewriting.original.cascade.name,
        "extents": dict(extents) if extents else None,
        "steps": list(trace_rewriting(rewriting.original.cascade, rewriting.best, extents)),
        "best": _found(rewriting.best, rewriting, extents),
        "pareto": [_found(f, rewriting, extents) for f in rewriting.pareto],
        "reasons": dict(rewriting.reasons),
        "refusals": [{"rule": r.rule, "where": r.where, "reason": r.reason} for r in rewriting.refusals],
        "visited": rewriting.visited,
        "exhausted": rewriting.exhausted,
        "coverage": rewriting.coverage,
    }


def trace_rewriting(
    original: Cascade, found: Found, extents: Mapping[str, int] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield one row per step that led to a cascade: the rule, where and why, passes and operations before and after."""
    before = _costs(analyze(original), extents)
    for step in found.steps:
        after = _costs(analyze(step.cascade), extents)
        yield {
            "rule": step.rule,
            "where": step.where,
            "because": step.because,
            "stable": step.stable,
            "passes_before": before["passes"],
            "passes": after["passes"],
            "operations_before": before["operations"],
            "operations": after["operations"],
            "origins": dict(step.origins),
            "cascade": print_cascade(step.cascade),
        }
        before = after


def _costs(analysis: Analysis, extents: Mapping[str, int] | None) -> dict[str, Any]:
    if extents:
        analysis = replace(analysis, extents=sample_extents(analysis.cascade, extents))
    return {
        "passes": {rank: analysis.value(n) for rank, n in analysis.passes.items()},
        "live": analysis.value(analysis.live.words),
        "live_per": list(analysis.live.rows),
        "operations": {op: analysis.value(n) for op, n in analysis.totals.items()},
    }


def _found(found: Found, rewriting: Rewriting, extents: Mapping[str, int] | None) -> dict[str, Any]:
    """Return one cascade: its costs, how it was reached, how its equality was decided, its text."""
    cost, check = found.objectives, found.check
    return {
        "cascade": print_cascade(found.written),
        "name": found.written.name,
        "known_as": found.known.name if found.known else None,
        "steps": [f"{s.rule} {s.where}" for s in found.steps],
        **_costs(cost.analysis, extents),
        "ranks": list(cost.ranks),
        "sequential": list(cost.sequential),
        "stable": cost.stable,
        "check": None
        if check is None
        else {"equal": check.equal, "grade": check.grade, "method": check.method, "shapes": len(check.shapes)},
        "is_best": found is rewriting.best,
    }
