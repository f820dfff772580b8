"""Which (Q, KV) tiles a backend was compiled for, by head dim and number of dimensions; and tiles that could be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from pathlib import Path
from typing import Literal

from arch_specs.reader import Fields, Node, Problems, read_yaml
from einsum_cascades.diagnostics import Problem, Source, SpecError, read_source, suggest

__all__ = [
    "Backend",
    "Pair",
    "Tile",
    "backend_names",
    "check_tiles_of_backend",
    "enumerate_tiles",
    "load_backend",
    "print_pair",
    "read_backend",
]

Tile = tuple[int, ...]
Pair = tuple[Tile, Tile]
Direction = Literal["forward", "backward"]

_FOLDER = Path(__file__).parent / "tile_tables"
_PAIR = re.compile(r"([0-9]{1,6}(?:x[0-9]{1,6})*) */ *([0-9]{1,6}(?:x[0-9]{1,6})*)")
_MOST_RANKS = 3


@dataclass(frozen=True, slots=True)
class TileSet:
    """The tile pairs for some head dims: those in `only`, or multiples of `multiple_of` up to `most` (0: any)."""

    pairs: tuple[Pair, ...]
    only: tuple[int, ...] = ()
    most: int = 0
    multiple_of: int = 1

    def serves(self, head_dim: int) -> bool:
        """Say whether these tiles exist for a head dim."""
        if self.only:
            return head_dim in self.only
        return head_dim % self.multiple_of == 0 and (not self.most or head_dim <= self.most)

    def __str__(self) -> str:
        if self.only:
            return " or ".join(map(str, self.only))
        text = f"a multiple of {self.multiple_of}" if self.multiple_of > 1 else "any"
        return f"{text} up to {self.most}" if self.most else text


@dataclass(frozen=True, slots=True)
class Backend:
    """A kernel: how it is called in NATTEN, whether keys are tiled from a Q tile's own corner, its legal tiles.

    `masks_partial`: it masks the partial tiles alone, not all or none. `schedule` is the attention kernel of
    `simulator.targets.gpu` that it was made from, `measured_on` the GPU whose calibration it has.
    """

    name: str
    summary: str
    source: str
    natten: str
    dynamic: bool
    masks_partial: bool
    schedule: str
    measured_on: str
    forward: tuple[TileSet, ...]
    backward: tuple[TileSet, ...]

    def tiles(self, rank: int, head_dim: int = 128, direction: Direction = "forward") -> tuple[Pair, ...]:
        """Return the legal (Q, KV) tiles for maps of `rank` dimensions; empty where the kernel has none.

        >>> len(load_backend("blackwell").tiles(3)), len(load_backend("ampere").tiles(3))
        (7, 76)
        """
        sets = self.forward if direction == "forward" else self.backward
        pairs = (pair for one in sets if one.serves(head_dim) for pair in one.pairs)
        return tuple(dict.fromkeys(pair for pair in pairs if len(pair[0]) == rank))


def backend_names() -> tuple[str, ...]:
    """Return the names of the shipped backends.

    >>> backend_names()
    ('ampere', 'blackwell', 'flex', 'hopper')
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@lru_cache
def load_backend(name: str) -> Backend:
    """Return a shipped backend; SpecError with a suggestion for an unknown name."""
    known = backend_names()
    if name not in known:
        raise SpecError(Problem(f"unknown backend '{name}'", hint=suggest(name, known) or f"one of {', '.join(known)}"))
    path = _FOLDER / f"{name}.yaml"
    return read_backend(Source(path.name, read_source(path).text), name)


def read_backend(source: Source, name: str) -> Backend:
    """Return the backend that a YAML text describes; SpecError with every problem of the text."""
    problems = Problems()
    fields = read_yaml(source, problems).mapping(
        ("summary", "source", "natten", "keys", "masks", "schedule", "measured_on", "forward", "backward"),
        (),
        f"backend '{name}'",
    )
    backend = Backend(
        name=name,
        summary=fields["summary"].text(),
        source=fields["source"].text(),
        natten=fields["natten"].text(),
        dynamic=fields["keys"].choice(("static", "dynamic"), "a way to tile keys") == "dynamic",
        masks_partial=fields["masks"].choice(("all", "partial"), "the tiles that a mask is applied to") == "partial",
        schedule=fields["schedule"].text(),
        measured_on=fields["measured_on"].text(),
        forward=tuple(_read_set(node) for node in fields["forward"].items()),
        backward=tuple(_read_set(node) for node in fields["backward"].items()),
    )
    problems.finish()
    return backend


def _read_set(node: Node) -> TileSet:
    fields = node.mapping(("head_dims",), ("tiles", "rows", "shapes"), "a set of tiles")
    dims = fields["head_dims"].mapping((), ("only", "most", "multiple_of"))
    return TileSet(
        pairs=tuple(_read_pairs(fields)),
        only=tuple(one.integer() for one in dims["only"].items()) if "only" in dims else (),
        most=dims["most"].integer() if "most" in dims else 0,
        multiple_of=dims["multiple_of"].integer() if "multiple_of" in dims else 1,
    )


def _read_pairs(fields: Fields) -> Iterator[Pair]:
    """Yield the pairs that are listed by number of dimensions, or those that a rule makes of numbers of rows."""
    if "tiles" in fields:
        for rank, names in enumerate(fields["tiles"].items(), 1):
            yield from (_read_pair(name, rank) for name in names.items())
        return
    shapes = fields["shapes"].choice(("grown", "all"), "a rule")
    for node in fields["rows"].items():
        (q_rows,), (kv_rows,) = _read_pair(node, 1)
        for rank in range(1, _MOST_RANKS + 1):
            for q_tile, kv_tile in enumerate_tiles(q_rows, kv_rows, rank, least=1 if rank == 1 else 2):
                if shapes == "all" or all(kv % q == 0 for q, kv in zip(q_tile, kv_tile, strict=True)):
                    yield q_tile, kv_tile


def _read_pair(node: Node, rank: int) -> Pair:
    """Return the pair that a text such as `16x16 / 16x8` means."""
    match = _PAIR.fullmatch(node.text())
    q_tile, kv_tile = (tuple(map(int, text.split("x"))) for text in match.groups()) if match else ((), ())
    if len(q_tile) != rank or len(kv_tile) != rank:
        node.report(f"a pair of tiles of {rank} dimensions is written as '{' / '.join(['x'.join('8' * rank)] * 2)}'")
        return (1,) * rank, (1,) * rank
    return q_tile, kv_tile


def print_pair(q_tile: Sequence[int], kv_tile: Sequence[int]) -> str:
    """Return a pair of tiles as it is written in the tables.

    >>> print_pair((16, 16), (16, 8))
    '16x16 / 16x8'
    """
    return f"{'x'.join(map(str, q_tile))} / {'x'.join(map(str, kv_tile))}"


def enumerate_tiles(q_rows: int, kv_rows: int, rank: int, *, least: int = 1) -> tuple[Pair, ...]:
    """Return every pair of tiles of so many rows that could be compiled, with no width below `least`.

    >>> enumerate_tiles(4, 2, 2, least=1)[:2]
    (((1, 4), (1, 2)), ((1, 4), (2, 1)))
    """
    return tuple(product(_shapes(q_rows, rank, least), _shapes(kv_rows, rank, least)))


def _shapes(rows: int, rank: int, least: int) -> tuple[Tile, ...]:
    """Return the ordered factorizations of a number of rows."""
    if rank == 1:
        return ((rows,),) if rows >= least else ()
    widths = (width for width in range(least, rows + 1) if rows % width == 0)
    return tuple((width, *rest) for width in widths for rest in _shapes(rows // width, rank - 1, least))


def check_tiles_of_backend(
    backend: Backend, q_tile: Sequence[int], kv_tile: Sequence[int], head_dim: int = 128
) -> None:
    """Raise SpecError where a backend lacks a pair of tiles, naming those that it has."""
    rank, pair = len(q_tile), (tuple(q_tile), tuple(kv_tile))
    legal = backend.tiles(rank, head_dim)
    if pair in legal:
        return
    if not any(one.serves(head_dim) for one in backend.forward):
        has = ", or ".join(str(one) for one in backend.forward)
        raise SpecError(f"backend {backend.name} has no kernel for head dim {head_dim}: it is {has}")
    nearest = sorted(legal, key=lambda one: _distance(one, pair))[:7]
    names = ", ".join(print_pair(*one) for one in nearest)
    hint = f"{'it has' if len(legal) == len(nearest) else 'the nearest are'} {names}" if legal else None
    what = f"tile {print_pair(q_tile, kv_tile)} at head dim {head_dim}" if legal else f"{rank}-D tiles"
    raise SpecError(Problem(f"backend {backend.name} has no {what}", hint=hint))


def _distance(one: Pair, other: Pair) -> tuple[int, int]:
    """Return how unlike two pairs are: widths that differ, then by how many doublings."""
    widths = [(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=False)]
    doublings = sum(abs(a.bit_length() - b.bit_length()) for a, b in widths)
    return sum(a != b for a, b in widths), doublings + abs(prod(one[0]) - prod(other[0]))
