"""Constructs of the language are few, and each serves many mechanisms: the table of docs/language.md is counted."""

import re
from collections.abc import Callable
from pathlib import Path

from einsum_cascades.build import tiles_of
from einsum_cascades.ir import Cascade
from einsum_cascades.kept import is_static
from tests.einsum_cascades.zoo import NAMES, load

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")

CONSTRUCTS: dict[str, Callable[[Cascade], bool]] = {
    "predicate": lambda c: any(e.predicates for e in c.einsums),
    "condition on coordinates": lambda c: any(is_static(x) for e in c.einsums for x in e.conditions),
    "condition on tensors": lambda c: any(not is_static(x) for e in c.einsums for x in e.conditions),
    "stated density": lambda c: any(x.density is not None for e in c.einsums for x in e.conditions),
    "looked-up coordinate": lambda c: any(a.looked_up for e in c.einsums for a in e.accesses),
    "`top`": lambda c: any(e.selects for e in c.einsums),
    "generations": lambda c: bool(c.generations),
    "tiles": lambda c: any(len(e.factors) > 1 for e in c.extents),
    "neighbours": lambda c: any(
        len(i.variables) > 1 and not any(tiles_of(i, x, c.extents) for x in c.extents)
        for e in c.einsums
        for a in e.accesses
        for i in a.indices
    ),
    "own operator": lambda c: bool(c.definitions),
    "coordinates as input": lambda c: any(t.within for t in c.tensors),
    "`needs`": lambda c: bool(c.needs),
}


def test_the_table_of_constructs_is_counted() -> None:
    counted = {name: sum(map(uses, map(load, NAMES))) for name, uses in CONSTRUCTS.items()}
    stated = dict(re.findall(r"^\| ([^|]+?) \| (\d+) \|", PAGE, re.MULTILINE))
    assert stated == {name: str(count) for name, count in counted.items()}


def test_no_construct_serves_one_mechanism_alone() -> None:
    assert all(sum(map(uses, map(load, NAMES))) > 1 for uses in CONSTRUCTS.values())
