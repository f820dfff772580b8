"""`attnsim gna`: what a neighborhood mask costs in tiles, why, and which strides, windows and tiles are better."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from einsum_cascades.diagnostics import Problem, SpecError
from studies.output import Output, emit, output_options, replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from simulator.masks.search import Choice
    from simulator.masks.tiles import Backend, Pair
    from simulator.masks.windows import Window

__all__ = ["gna_command"]

_MOST_ITEMS = 1 << 21  # Q tiles of all heads whose makespan is found; beyond, it is the mean but for a wave
_GPU = {"blackwell": "b200", "hopper": "h100"}  # whose mask tax a backend's kernel has


def parse_numbers(option: str, text: str) -> tuple[int, ...]:
    """Return whole numbers written as `30,48,80`; SpecError names the option.

    >>> parse_numbers("--map", "30,48,80")
    (30, 48, 80)
    """
    words = text.replace("x", ",").split(",")
    if not all(word.strip().isascii() and word.strip().isdigit() and len(word.strip()) <= 10 for word in words):
        raise SpecError(
            Problem(f"{option} is whole numbers, one for each dimension, found '{text}'", hint="write e.g. 30,48,80")
        )
    return tuple(int(word) for word in words)


def _choose_backend(name: str | None, tiles: Pair | None) -> Backend | None:
    """Return the backend asked for; Blackwell's where neither it nor tiles are given."""
    from simulator.masks.tiles import load_backend

    return load_backend(name or "blackwell") if name or not tiles else None


def _mask_tax(backend: Backend | None, rank: int) -> float:
    """Return what a masked tile costs more than another, where that is known for the backend; else 1."""
    from simulator.masks.estimate import load_calibration

    gpu = _GPU.get(backend.name) if backend else None
    return load_calibration().tax(gpu, rank) if gpu else 1.0


def _pair(q_tile: str | None, kv_tile: str | None) -> Pair | None:
    if (q_tile is None) != (kv_tile is None):
        raise SpecError("give both --q-tile and --kv-tile, or neither")
    if q_tile is None or kv_tile is None:
        return None
    return parse_numbers("--q-tile", q_tile), parse_numbers("--kv-tile", kv_tile)


def _choose_tiles(windows: tuple[Window, ...], tiles: Pair | None, backend: Backend | None, head_dim: int) -> Pair:
    """Return the tiles given, once the backend is known to have them; else its best for the mask."""
    from simulator.masks.estimate import estimate_speedup
    from simulator.masks.gna import check_tiles, count_windows
    from simulator.masks.tiles import check_tiles_of_backend

    if tiles:
        check_tiles([one.extent for one in windows], *tiles)
        if backend:
            check_tiles_of_backend(backend, *tiles, head_dim)
        return tiles
    assert backend is not None
    legal = backend.tiles(len(windows), head_dim)
    if not legal:
        check_tiles_of_backend(backend, (1,) * len(windows), (1,) * len(windows), head_dim)
    tax = _mask_tax(backend, len(windows))

    def quality(pair: Pair) -> tuple[float, float]:
        counts = count_windows(windows, *pair)
        return estimate_speedup(counts, tax, dynamic=backend.dynamic), counts.speedup_sim_max

    return max(legal, key=quality)


def _save(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all, in the format that the suffix names."""
    form = path.suffix.lower().lstrip(".")
    if form not in ("png", "svg", "pdf"):
        raise SpecError(f"{path}: a picture is a .png, .svg or .pdf file")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)
    click.echo(f"wrote {path}", err=True)


@click.group("gna", invoke_without_command=True)
@click.option("--map", "extents", metavar="N,N,N", help="The extents of the map, e.g. 30,48,80.")
@click.option("--window", metavar="N,N,N", help="Keys in a window, by dimension.")
@click.option("--stride", metavar="N,N,N", help="Queries that share a window (1).")
@click.option("--dilation", metavar="N,N,N", help="Spacing of the keys (1).")
@click.option("--causal", metavar="0,1,0", help="Dimensions in which a query sees no later key.")
@click.option("--q-tile", metavar="N,N,N", help="Queries of a tile; with --kv-tile. Default: the backend's best.")
@click.option("--kv-tile", metavar="N,N,N", help="Keys of a tile.")
@click.option("--backend", metavar="NAME", help="blackwell, hopper, ampere or flex: whose tiles are legal.")
@click.option("--head-dim", type=click.IntRange(1), default=128, help="Decides which tiles a backend has (128).")
@click.option("--extra-kv", type=click.IntRange(0), default=0, help="Further keys that every query attends.")
@click.option("--workers", type=click.IntRange(1), default=148, help="Tiles at work at a time, for the makespan (148).")
@click.option("--heads", type=click.IntRange(1), default=1, help="Heads times batch, for the makespan (1).")
@click.option("--export", type=click.Choice(["natten", "flex"]), help="Print code for NATTEN or FlexAttention instead.")
@click.option("--draw", type=click.Path(dir_okay=False, path_type=Path), help="Draw the mask and its tiles there.")
@click.option("--query", metavar="N,N,N", help="Whose keys are drawn (the middle).")
@output_options
@click.pass_context
def gna_command(ctx: click.Context, /, output: Output, **options: Any) -> None:
    """Count the tiles of a neighborhood mask: what the saving is, what a kernel can have of it, and why.

    Example: attnsim gna --map 30,48,80 --window 18,24,24 --stride 16,8,8
    """
    if ctx.invoked_subcommand is not None:
        return
    if not options["extents"] or not options["window"]:
        raise click.UsageError("give --map and --window, or the command 'search'", ctx)
    windows = _read_windows(options)
    tiles = _pair(options["q_tile"], options["kv_tile"])
    backend = _choose_backend(options["backend"], tiles)
    tiles = _choose_tiles(windows, tiles, backend, options["head_dim"])
    if options["draw"]:
        from studies.gna_figures import draw_mask

        query = parse_numbers("--query", options["query"]) if options["query"] else ()
        _save(draw_mask(windows, *tiles, query), options["draw"])
    if options["export"]:
        _export(options["export"], windows, tiles, backend)
        return
    data = _describe(windows, tiles, backend, options)
    emit(data, output, rows=_flatten(data))


def _read_windows(options: dict[str, Any]) -> tuple[Window, ...]:
    from simulator.masks.windows import make_windows

    extents = parse_numbers("--map", options["extents"])
    rest = {
        name: parse_numbers(f"--{name}", options[name]) if options[name] else (int(name != "causal"),) * len(extents)
        for name in ("window", "stride", "dilation", "causal")
    }
    return make_windows(extents, rest["window"], rest["stride"], rest["dilation"], rest["causal"])


def _export(form: str, windows: tuple[Window, ...], tiles: Pair, backend: Backend | None) -> None:
    from simulator.masks.export import natten_arguments, write_mask_mod

    if form == "flex":
        click.echo(write_mask_mod(windows), nl=False)
        return
    words = ", ".join(f"{name}={value!r}" for name, value in natten_arguments(windows, *tiles, backend).items())
    click.echo(f"natten.na{len(windows)}d(query, key, value, {words})")


def _describe(
    windows: tuple[Window, ...], tiles: Pair, backend: Backend | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Return everything that is known of a mask under a pair of tiles, in the keys of the JSON answer."""
    from simulator.masks.advice import advise
    from simulator.masks.estimate import estimate_speedup
    from simulator.masks.export import natten_arguments
    from simulator.masks.gna import count_windows
    from simulator.masks.schedule import compare_makespans, count_histogram, count_keys

    counts = count_windows(windows, *tiles, options["extra_kv"])
    others = backend.tiles(len(windows), options["head_dim"]) if backend else ()
    tax, dynamic = _mask_tax(backend, len(windows)), bool(backend and backend.dynamic)
    advice = advise(windows, *tiles, others, dynamic=dynamic)
    rows = counts.visited_tiles * _rows(tiles[0]) * _rows(tiles[1])
    back = count_keys(windows, *tiles)
    items = options["heads"] * max(counts.dense_q_tiles, counts.q_tiles)
    shared = {"workers": options["workers"], "copies": options["heads"], "extra_kv": options["extra_kv"]}
    return {
        "allowed_pairs": counts.allowed_pairs,
        "visited_tiles": counts.visited_tiles,
        "max_tiles": counts.max_tiles,
        "min_tiles": counts.min_tiles,
        "full_tiles": counts.full_tiles,
        "partial_tiles": counts.partial_tiles,
        "dynamic_tiles": counts.dynamic_tiles,
        "padded_tiles": counts.padded_tiles,
        "dense_tiles": counts.dense_q_tiles * counts.dense_kv_tiles,
        "q_tiles": counts.q_tiles,
        "dense_q_tiles": counts.dense_q_tiles,
        "dense_kv_tiles": counts.dense_kv_tiles,
        "wasted": 1 - counts.allowed_pairs / rows,
        "speedup": {
            "flop": counts.speedup_flop,
            "sim_max": counts.speedup_sim_max,
            "sim_mean": counts.speedup_sim_mean,
            "makespan": compare_makespans(windows, *tiles, **shared) if items <= _MOST_ITEMS else None,
            "predicted": estimate_speedup(counts, tax, dynamic=dynamic),
        },
        "mask_tax": tax if advice.reasons else 1.0,
        "block_sparse": not advice.reasons,
        "histogram": {str(n): many for n, many in count_histogram(windows, *tiles, options["extra_kv"]).items()},
        "backward": {"kv_tiles": back.kv_tiles, "max_tiles": back.max_tiles, "min_tiles": back.min_tiles},
        "q_tile": tiles[0],
        "kv_tile": tiles[1],
        "advice": advice.lines,
        "natten_kwargs": natten_arguments(windows, *tiles, backend),
    }


def _rows(tile: tuple[int, ...]) -> int:
    from math import prod

    return prod(tile)


def _flatten(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an answer as rows: inner keys with a dot, a row for each line of advice."""
    rows: list[dict[str, Any]] = []
    for key, value in data.items():
        if key == "advice":
            rows += [{"key": "advice", "value": line} for line in value]
        elif key in ("speedup", "backward"):
            rows += [{"key": f"{key}.{inner}", "value": number} for inner, number in value.items()]
        else:
            rows.append({"key": key, "value": value})
    return rows


@gna_command.command("search")
@click.option("--map", "extents", required=True, metavar="N,N,N", help="The extents of the map.")
@click.option("--window", "windows", multiple=True, metavar="N,N,N", help="Repeatable; default: 20 of the map's shape.")
@click.option("--stride", "strides", multiple=True, metavar="N,N,N", help="Repeatable; default: every legal one.")
@click.option("--dilation", metavar="N,N,N", help="Spacing of the keys (1).")
@click.option("--causal", metavar="0,1,0", help="Dimensions in which a query sees no later key.")
@click.option("--q-tile", metavar="N,N,N", help="One pair of tiles instead of all of the backend's; with --kv-tile.")
@click.option("--kv-tile", metavar="N,N,N", help="Keys of a tile.")
@click.option("--backend", metavar="NAME", help="Whose tiles are tried: blackwell (default), hopper, ampere, flex.")
@click.option("--what-if", metavar="Q,KV", help="Every tile of so many rows, e.g. 256,128, compiled or not.")
@click.option("--head-dim", type=click.IntRange(1), default=128, help="Decides which tiles a backend has (128).")
@click.option("--top", type=click.IntRange(1), default=20, help="How many of the ranking are shown (20).")
@click.option("--draw", type=click.Path(dir_okay=False, path_type=Path), help="Draw the front there.")
@output_options
def search_command(output: Output, **options: Any) -> None:
    """Rank strides, windows and tiles by predicted speed-up, and show the Pareto front.

    On the front nothing keeps more pairs, lets fewer queries share a window, and is predicted to run as fast.

    Example: attnsim gna search --map 30,48,80 --window 18,24,24
    """
    from simulator.masks.search import ladder_of_windows, search_masks

    extents = parse_numbers("--map", options["extents"])
    dilation = parse_numbers("--dilation", options["dilation"]) if options["dilation"] else (1,) * len(extents)
    given = [parse_numbers("--window", text) for text in options["windows"]]
    one = _pair(options["q_tile"], options["kv_tile"])
    tried = [one] if one else _what_if(options, len(extents))
    backend = _choose_backend(options["backend"], tried[0] if tried else None)
    pairs = _pairs_to_try(one, backend, options, len(extents))
    found = search_masks(
        extents,
        given or ladder_of_windows(extents, dilation=dilation),
        pairs,
        strides=[parse_numbers("--stride", text) for text in options["strides"]],
        dilation=dilation,
        causal=parse_numbers("--causal", options["causal"]) if options["causal"] else (),
        mask_tax=_mask_tax(backend, len(extents)),
        dynamic=bool(backend and backend.dynamic),
        top=options["top"],
    )
    if options["draw"]:
        from studies.gna_figures import draw_front

        _save(draw_front(found.front, extents), options["draw"])
    ranked = [_row("ranked", choice) for choice in found.ranked]
    front = [_row("front", choice) for choice in found.front]
    emit({"evaluated": found.evaluated, "ranked": ranked, "pareto": front}, output, rows=[*ranked, *front])


def _what_if(options: dict[str, Any], rank: int) -> list[Pair]:
    from simulator.masks.tiles import enumerate_tiles

    if not options["what_if"]:
        return []
    rows = parse_numbers("--what-if", options["what_if"])
    if len(rows) != 2 or not all(rows):
        raise SpecError("--what-if is the rows of a Q tile and of a KV tile, e.g. 256,128")
    return list(enumerate_tiles(*rows, rank))


def _pairs_to_try(one: Pair | None, backend: Backend | None, options: dict[str, Any], rank: int) -> list[Pair]:
    """Return the pairs of tiles to search: the one given, every factorization, or the backend's."""
    from simulator.masks.gna import check_tiles
    from simulator.masks.tiles import check_tiles_of_backend

    if one:
        check_tiles((1,) * rank, *one)
        if backend:
            check_tiles_of_backend(backend, *one, options["head_dim"])
        return [one]
    if options["what_if"]:
        return _what_if(options, rank)
    assert backend is not None
    legal = list(backend.tiles(rank, options["head_dim"]))
    if not legal:
        check_tiles_of_backend(backend, (1,) * rank, (1,) * rank, options["head_dim"])
    return legal


def _row(kind: str, choice: Choice) -> dict[str, Any]:
    def name(values: tuple[int, ...]) -> str:
        return "x".join(map(str, values))

    return {
        "list": kind,
        "window": name(choice.window),
        "stride": name(choice.stride),
        "q_tile": name(choice.q_tile),
        "kv_tile": name(choice.kv_tile),
        "kept": choice.kept,
        "shared_queries": choice.shared,
        "speedup_predicted": choice.speedup,
        "speedup_sim_mean": choice.speedup_sim_mean,
        "speedup_sim_max": choice.speedup_sim_max,
        "speedup_flop": choice.speedup_flop,
        "block_sparse": choice.block_sparse,
    }
