"""An analysis as a text to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from einsum_cascades.analysis import Analysis

__all__ = ["tabulate"]


def tabulate(analysis: Analysis) -> str:
    """Return an analysis laid out for reading: what repeats is said once, ones and zeros are left out."""
    found = analysis.to_json()
    lines = [f"{found['cascade']}: {analysis.cascade.summary}", "", "passes"]
    for rank, n in found["passes"].items():
        chain = found["witness"][rank]
        why = f"   {' -> '.join(chain)}: each reads it all after the one before" if len(chain) > 1 else ""
        lines.append(f"  {rank:<6} {n!s:<8}{why}".rstrip())
    rank = analysis.live.rank
    if rank:
        lines += ["", f"Einsums by pass over {rank}"]
        levels = found["levels"][rank]
        for level in sorted(set(levels.values())):
            lines.append(f"  {level}  {', '.join(e for e, n in levels.items() if n == level)}")
    per = f" per point of {','.join(found['live_per'])}" if found["live_per"] else ""
    lines += ["", f"live{per}: {found['live']} words"]
    held = {t: w for t, w in found["footprint"].items() if w != 1}
    lines += [f"  {tensor:<6} at least {words}" for tensor, words in held.items()]
    for c in found["crossings"]:
        recompute = " + ".join(f"{n} {op}" for op, n in c["recompute"].items()) or "no operation"
        later = ", ".join(map(str, c["read"]))
        lines.append(f"  {c['tensor']} crosses from pass {c['written']} to {later}: keep {c['buffer_words']} words,")
        lines.append(f"      or move {c['spill_words']} words, or recompute with {recompute}")
    lines += ["", "operations"]
    lines += [f"  {op:<6} {n}" for op, n in found["totals"].items() if n != 0]
    lines += ["", f"least traffic: {found['traffic_min_words']} words"]
    return "\n".join(lines)
