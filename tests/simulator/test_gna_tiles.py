"""Tile tables: what the backends have, how a table is read, and what is said of a tile that is not there."""

from math import prod

import pytest

from einsum_cascades.diagnostics import Source, SpecError
from simulator.masks.tiles import backend_names, check_tiles_of_backend, enumerate_tiles, load_backend, read_backend


@pytest.mark.parametrize(
    ("name", "direction", "head_dim", "counts"),
    [
        ("blackwell", "forward", 128, (1, 4, 7)),
        ("blackwell", "backward", 128, (1, 4, 9)),
        ("blackwell", "forward", 256, (0, 0, 0)),
        ("hopper", "forward", 64, (1, 2, 2)),
        ("hopper", "forward", 128, (1, 1, 2)),
        ("hopper", "backward", 256, (0, 0, 0)),
        ("ampere", "forward", 128, (3, 12 + 5 + 10, 36 + 10 + 30)),
        ("ampere", "backward", 128, (3, 25 + 30 + 36, 100 + 150 + 225)),
        ("flex", "forward", 128, (1, 3, 3)),
        ("flex", "backward", 128, (0, 0, 0)),
    ],
)
def test_backends_have_the_published_number_of_tiles(name, direction, head_dim, counts):
    backend = load_backend(name)
    assert tuple(len(backend.tiles(rank, head_dim, direction)) for rank in (1, 2, 3)) == counts


@pytest.mark.parametrize("name", backend_names())
def test_tiles_of_a_backend_have_rows_that_its_kernel_has(name):
    rows = {
        "blackwell": {(256, 128)},
        "hopper": {(64, 128), (128, 128), (128, 64)},
        "ampere": {(32, 128), (64, 64), (64, 128)},
        "flex": {(64, 64)},
    }
    backend = load_backend(name)
    found = {(prod(q), prod(kv)) for d in (64, 128, 256) for n in (1, 2, 3) for q, kv in backend.tiles(n, d)}
    assert found == rows[name]


def test_what_could_be_compiled_is_every_factorization():
    pairs = enumerate_tiles(256, 128, 3)
    assert len(pairs) == len(set(pairs)) == 45 * 36
    assert all((prod(q), prod(kv)) == (256, 128) for q, kv in pairs)
    assert enumerate_tiles(6, 1, 2, least=2) == ()


@pytest.mark.parametrize(
    ("name", "pair", "head_dim", "message"),
    [
        (
            "hopper",
            ((4, 8, 8), (2, 8, 8)),
            128,
            "backend hopper has no tile 4x8x8 / 2x8x8 at head dim 128\n    it has 2x8x8 / 2x8x8, 4x4x8 / 4x4x8",
        ),
        (
            "blackwell",
            ((16, 16), (16, 8)),
            256,
            "backend blackwell has no kernel for head dim 256: it is a multiple of 8 up to 128",
        ),
        (
            "hopper",
            ((16, 8), (16, 8)),
            96,
            "backend hopper has no kernel for head dim 96: it is 32 or 64, or 128, or 256",
        ),
        ("blackwell", ((4, 4, 4, 4), (2, 4, 4, 4)), 128, "backend blackwell has no 4-D tiles"),
    ],
)
def test_a_tile_that_is_not_there_is_named_with_those_that_are(name, pair, head_dim, message):
    with pytest.raises(SpecError) as error:
        check_tiles_of_backend(load_backend(name), *pair, head_dim)
    assert str(error.value) == message


def test_an_unknown_backend_is_reported():
    with pytest.raises(SpecError) as error:
        load_backend("blackwel")
    assert str(error.value) == "unknown backend 'blackwel'\n    did you mean 'blackwell'?"


def test_a_wrong_table_is_reported_with_its_place():
    text = (
        "summary: s\nsource: s\nnatten: s\nkeys: sometimes\nmasks: all\nschedule: s\nmeasured_on: s\nforward:\n"
        "  - head_dims: {only: [64]}\n    tiles: [[8 / 8], [8 / 8]]\nbackward: []\n"
    )
    with pytest.raises(SpecError) as error:
        read_backend(Source("mine.yaml", text), "mine")
    assert [str(p).splitlines()[0] for p in error.value.problems] == [
        "mine.yaml:4:7: 'keys' is a way to tile keys, found 'sometimes'",
        "mine.yaml:10:23: a pair of tiles of 2 dimensions is written as '8x8 / 8x8'",
    ]
