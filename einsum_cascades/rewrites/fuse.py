"""Fuse: a pointwise tensor read where it stands becomes part of what reads it; prune: what no output needs goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from einsum_cascades.ir import Access, Call, Cascade, Einsum, Expr, walk
from einsum_cascades.rewrites.edit import alive, consumers, inline, is_pointwise
from einsum_cascades.rewrites.rule import Answer, Rewrite, attempt

__all__ = ["fuse", "prune"]


def fuse(cascade: Cascade) -> Iterator[Answer]:
    """Yield each intermediate pointwise tensor made part of all that read it.

    It is then computed again for each of them, and for every coordinate that they have and it lacks.
    """
    outputs = {t.name for t in cascade.outputs}
    for einsum in cascade.extended:
        if einsum.name in outputs or not is_pointwise(cascade, einsum.name):
            continue
        changed = {e: _with(cascade, e, einsum.name) for e in consumers(cascade, einsum.name)}
        if all(made is not None for made in changed.values()):
            out = [changed.get(e) or e for e in cascade.einsums if e is not einsum]
            because = "it is made point by point"
            origins = dict.fromkeys((e.name for e in changed), einsum.name)
            yield attempt(Rewrite("fuse", einsum.name, cascade, because, origins), out)


def _with(cascade: Cascade, reader: Einsum, tensor: str) -> Einsum | None:
    """Return an Einsum with a tensor replaced by what it is; None where that cannot be or loses a rank variable."""

    def change(expr: Expr) -> Expr | None:
        match expr:
            case Access(name) if name == tensor:
                return inline(cascade, expr, reader)
            case Call(operator, arguments):
                parts = [change(a) for a in arguments]
                known = tuple(p for p in parts if p is not None)
                return Call(operator, known) if len(known) == len(parts) else None
        return expr

    hidden = [a for a in reader.accesses if a.tensor == tensor and a not in list(walk(reader.expr))]
    expr = change(reader.expr) if not hidden else None
    made = replace(reader, expr=expr) if expr is not None else None
    return made if made is not None and set(made.variables) == set(reader.variables) else None


def prune(cascade: Cascade) -> Iterator[Answer]:
    """Yield the cascade without the Einsums that no output needs, if there are any."""
    needed = {e.name for e in alive(cascade.einsums, (t.name for t in cascade.outputs))}
    left = [e.name for e in cascade.extended if e.name not in needed]
    if left:
        yield attempt(Rewrite("prune", ", ".join(left), cascade, "no output needs it"), cascade.einsums)
