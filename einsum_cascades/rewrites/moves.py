"""The moves of the search: each a rule, or a few rules that make sense together, applied wherever they can be."""

from __future__ import annotations

from collections.abc import Iterator

from einsum_cascades.ir import Cascade, Einsum
from einsum_cascades.ops import OPERATORS
from einsum_cascades.rewrites.absorb import absorb
from einsum_cascades.rewrites.defer import defer, distribute, stage
from einsum_cascades.rewrites.extract import extract
from einsum_cascades.rewrites.online import combine, online
from einsum_cascades.rewrites.recentre import recentre
from einsum_cascades.rewrites.rule import Answer, Refusal, Rewrite, Rule
from einsum_cascades.rewrites.scan import scan
from einsum_cascades.rewrites.share import share, unfuse
from einsum_cascades.rewrites.split import split_rank

__all__ = ["moves"]

_MOST_STEPS = 64
Steps = list[Rewrite]


class Trail:
    """A cascade on its way: the steps taken, and what was refused."""

    def __init__(self, cascade: Cascade) -> None:
        self.cascade = cascade
        self.steps: Steps = []
        self.refusals: list[Refusal] = []

    def take(self, answer: Answer) -> bool:
        """Go where an answer leads; remember a refusal."""
        if isinstance(answer, Refusal):
            if answer not in self.refusals:
                self.refusals.append(answer)
            return False
        self.steps.append(answer)
        self.cascade = answer.cascade
        return True

    def repeat(self, rule: Rule) -> bool:
        """Apply a rule until it finds nothing more; say whether it found anything."""
        before = len(self.steps)
        while len(self.steps) < _MOST_STEPS:
            if not any(self.take(answer) for answer in rule(self.cascade)):
                break
        return len(self.steps) > before

    def tidy(self) -> None:
        """Share what is the same, and take out of loops what does not run over them."""
        while self.repeat(share) or self.repeat(extract) or self.repeat(unfuse):
            pass


def moves(cascade: Cascade, ranks: tuple[str, ...]) -> Iterator[Trail]:
    """Yield every cascade that one move leads to, with its steps; `ranks` are those worth another pass structure.

    What can be deferred is deferred first, as that never adds a pass; all other moves start from there.
    """
    deferred = Trail(cascade)
    if deferred.repeat(defer) or deferred.repeat(stage):
        deferred.tidy()
        yield deferred
        return
    trail = Trail(cascade)
    if trail.repeat(distribute):
        trail.repeat(defer)
    trail.tidy()
    yield trail
    for answer in absorb(cascade):
        trail = Trail(cascade)
        if trail.take(answer):
            trail.tidy()
        yield trail
    for rank in ranks:
        for follow in (_run, _summarise):
            trail = Trail(cascade)
            tile = _tile_of(cascade, rank)
            if tile is None and trail.take(split_rank(cascade, rank)):
                tile = _tile_of(trail.cascade, rank)
            if tile is not None:
                follow(trail, tile)
            yield trail


def _tile_of(cascade: Cascade, rank: str) -> str | None:
    """Return the variable that runs over the tiles of a rank, if it is split."""
    extent = next(e for e in cascade.extents if e.name == rank)
    return extent.factors[0].lower() if len(extent.factors) == 2 else None


def _run(trail: Trail, tile: str) -> None:
    """Scan every maximum and minimum over the tiles, and correct the sums that need them."""

    trail.repeat(lambda c: scan(c, lambda e: tile in e.reduced and _is_choice(e)))
    found = trail.repeat(lambda c: online(c, lambda e: tile in e.reduced))
    trail.tidy()
    if not found:
        trail.steps.clear()


def _summarise(trail: Trail, tile: str) -> None:
    """Make summaries of every tile and combine them."""
    found = trail.repeat(lambda c: combine(c, lambda e: tile in e.reduced))
    found = trail.repeat(lambda c: recentre(c, lambda e: tile in e.reduced)) or found
    trail.tidy()
    if not found:
        trail.steps.clear()


def _is_choice(einsum: Einsum) -> bool:
    """Say whether a reduction picks one of its values: it is then a value that moves one way."""
    return all(OPERATORS[op].direction != 0 for op in einsum.reduction_operators)
