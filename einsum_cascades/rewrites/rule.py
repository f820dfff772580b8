"""What a rule answers: a rewrite that it made, or a refusal with the property that is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from einsum_cascades.ir import Cascade, Einsum

__all__ = ["Answer", "Chosen", "Refusal", "Rewrite", "Rule", "anywhere"]


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
Chosen = Callable[[Einsum], bool]
Rule = Callable[[Cascade], Iterator[Answer]]


def anywhere(einsum: Einsum) -> bool:
    """Say that a rule may act at every Einsum."""
    return bool(einsum.name)
