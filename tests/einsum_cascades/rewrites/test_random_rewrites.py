"""No sequence of rules makes another function: random walks over rewrites, every cascade on them checked."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from einsum_cascades.equivalence.compare import compare_with_cascade
from einsum_cascades.ir import Cascade
from einsum_cascades.parser import parse, parse_file
from einsum_cascades.printer import print_cascade
from einsum_cascades.registry import entries, locate
from einsum_cascades.rewrites.canonical import canonical_key
from einsum_cascades.rewrites.rule import Rewrite
from einsum_cascades.rewrites.rules import RULES

HERE = Path(__file__).parents[2] / "data" / "rewrites"
SHORT = ["attention_3pass", "attention_causal", "layernorm_matmul", "softmax_3pass", "pedagogical_2pass"]


class Walker:
    """Random walks from one cascade; what has been seen is neither rewritten nor checked again."""

    def __init__(self, start: Cascade) -> None:
        self.start = start
        self.after: dict[tuple[str, str], list[Cascade]] = {}
        self.checked: set[str] = {canonical_key(start)}

    def walk(self, rng: random.Random, steps: int) -> None:
        cascade, path = self.start, []
        for _ in range(steps):
            name = rng.choice(list(RULES))
            key = canonical_key(cascade)
            if (key, name) not in self.after:
                made = [a.cascade for a in RULES[name](cascade) if isinstance(a, Rewrite)]
                self.after[key, name] = made
            if not self.after[key, name]:
                continue
            cascade = rng.choice(self.after[key, name])
            path.append(name)
            self.check(cascade, path)

    def check(self, cascade: Cascade, path: list[str]) -> None:
        key = canonical_key(cascade)
        if key in self.checked:
            return
        self.checked.add(key)
        assert parse(print_cascade(cascade)) == cascade
        found = compare_with_cascade(cascade, self.start, rounds=3)
        assert found.equal, f"{self.start.name}: {' '.join(path)}\n{print_cascade(cascade)}\n{found}"


def all_starts() -> Iterator[Cascade]:
    for entry in entries("cascades"):
        yield parse_file(entry.path)
    for path in sorted(HERE.glob("*.cascade")):
        yield parse_file(path)


@pytest.mark.parametrize("name", SHORT)
def test_random_rewrites_keep_the_function(name: str) -> None:
    walker = Walker(parse_file(locate("cascades", name)))
    for seed in range(40):
        walker.walk(random.Random(seed), 6)
    assert len(walker.checked) > 5


@pytest.mark.extended
@pytest.mark.parametrize("start", list(all_starts()), ids=lambda c: c.name)
def test_ten_thousand_random_rewrites_keep_the_function(start: Cascade) -> None:
    walker = Walker(start)
    for seed in range(-(-10_000 // len(list(all_starts())))):
        walker.walk(random.Random(seed), 8)
