"""What a rule answers: a rewrite that it made, or a refusal with the property that is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from einsum_cascades.diagnostics import SpecError
from einsum_cascades.ir import Cascade, Einsum, Extent
from einsum_cascades.rewrites.edit import rebuild

__all__ = ["Answer", "Chosen", "Refusal", "Rewrite", "Rule", "anywhere", "attempt"]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One application of a rule: at which Einsum or rank, the cascade that it gives, and why it is legal.

    `origins` maps each new tensor to the one of the cascade before that it stands for or was made from. A rewrite that
    is equal in exact arithmetic but not `stable` may overflow or cancel where the cascade before does not.
    """

    rule: str
    where: str
    cascade: Cascade
    because: str
    origins: Mapping[str, str] = field(default_factory=dict)
    stable: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """A place where a rule looked and must not act, with the reason; `trivial` where it has acted already."""

    rule: str
    where: str
    reason: str
    trivial: bool = False


Answer = Rewrite | Refusal


def attempt(rewrite: Rewrite, einsums: Iterable[Einsum], extents: Iterable[Extent] | None = None) -> Answer:
    """Return a rewrite, of which `cascade` is the one before, with these Einsums; refused where they are not legal."""
    try:
        return replace(rewrite, cascade=rebuild(rewrite.cascade, einsums, extents))
    except SpecError as why:
        return Refusal(rewrite.rule, rewrite.where, f"the result is no cascade: {why.problems[0].message}")


Chosen = Callable[[Einsum], bool]
Rule = Callable[[Cascade], Iterator[Answer]]


def anywhere(einsum: Einsum) -> bool:
    """Say that a rule may act at every Einsum."""
    return bool(einsum.name)
