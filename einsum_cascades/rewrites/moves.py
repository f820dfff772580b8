"""The moves of the search: each a rule, or a few rules that make sense together, applied wherever they can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from einsum_cascades.ir import Cascade
from einsum_cascades.ops import OPERATORS
from einsum_cascades.rewrites.absorb import absorb
from einsum_cascades.rewrites.defer import defer, distribute
from einsum_cascades.rewrites.online import combine, online
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

    def repeat(self, rule: Rule, keep: Callable[[Answer], bool] = lambda _: True) -> bool:
        """Apply a rule until it finds nothing more; say whether it found anything."""
        before = len(self.steps)
        while len(self.steps) < _MOST_STEPS:
            if not any(self.take(answer) for answer in rule(self.cascade) if keep(answer)):
                break
        return len(self.steps) > before

    def tidy(self) -> None:
        """Share what is the same, and take out of loops what does not run over them."""
        while self.repeat(share) or self.repeat(unfuse):
            pass


def moves(cascade: Cascade, ranks: tuple[str, ...]) -> Iterator[Trail]:
    """Yield every cascade that one move leads to, with its steps; `ranks` are those worth another pass structure."""
    for rule in (defer, distribute):
        trail = Trail(cascade)
        trail.repeat(rule)
        if rule is distribute:
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
            if trail.take(split_rank(cascade, rank)):
                follow(trail, trail.cascade.extents[_place(trail.cascade, rank)].factors[0].lower())
            yield trail


def _place(cascade: Cascade, rank: str) -> int:
    return [e.name for e in cascade.extents].index(rank)


def _run(trail: Trail, tile: str) -> None:
    """Scan every maximum and minimum over the new tiles, and correct the sums that need them."""

    def chosen(answer: Answer) -> bool:
        return _reduces(trail.cascade, answer, tile) and _is_choice(trail.cascade, answer.where)

    trail.repeat(scan, chosen)
    found = trail.repeat(online, lambda a: _reduces(trail.cascade, a, tile))
    trail.tidy()
    if not found:
        trail.steps.clear()


def _summarise(trail: Trail, tile: str) -> None:
    """Make summaries of every tile and combine them."""
    found = trail.repeat(combine, lambda a: _reduces(trail.cascade, a, tile))
    trail.tidy()
    if not found:
        trail.steps.clear()


def _reduces(cascade: Cascade, answer: Answer, tile: str) -> bool:
    return tile in cascade.einsum(answer.where).reduced


def _is_choice(cascade: Cascade, name: str) -> bool:
    """Say whether a reduction picks one of its values: it is then a value that moves one way."""
    (operator,) = cascade.einsum(name).reduction_operators
    return OPERATORS[operator].direction != 0
