"""The page of the catalogue, by family: passes, live state, work and traffic beside dense attention, bounds; claims.

`python -m studies.catalogue_page > docs/catalogue.md` makes it of `zoo.yaml` and of `studies/data/catalogue.csv`, the
measured table; a test holds the three together.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Any

from einsum_cascades.diagnostics import StudyError
from einsum_cascades.registry import locate
from studies.catalogue import Row, find_mechanism, read_families, read_rows
from studies.tables import read_table

__all__ = ["FAMILIES", "write_catalogue_page"]

# Of each family: what it is, and the cascade that stands for it in the picture.
FAMILIES: dict[str, tuple[str, str]] = {
    "softmax": ("Exact softmax attention: one definition, one to three passes over the keys.", "attention_2pass"),
    "latent": ("Keys and values as products of a latent that all heads share.", "attention_mla_1pass"),
    "masked": ("Masks known beforehand: causal, windows, sinks, spans of a head's own.", "attention_causal_1pass"),
    "neighborhood": ("Windows around each place of a map, in one to three dimensions.", "attention_gna_causal"),
    "distributed": ("Keys spread over workers or devices; parts are merged.", "attention_ring"),
    "serving": ("Caches of requests: pages, draft trees, budgets.", "attention_paged"),
    "chosen keys": ("Keys chosen by what they hold: a search, then attention over what it found.", "attention_bilevel"),
    "branches": ("Several maps, or one map over several sources.", "attention_decoupled"),
    "edited": ("Maps, values or heads changed on the way.", "attention_calibrated"),
    "vision": ("Windows, grids, pooled tokens and short heads for images.", "attention_agent"),
    "channels": ("Maps between channels, and gates.", "attention_channels"),
    "linear": ("A state in place of a map: work grows with the length, not with its square.", "attention_lightning"),
    "gradients": ("Backward passes.", "attention_backward"),
    "layers": ("What stands around attention.", "layernorm_matmul"),
    "examples": ("Examples of the theory of passes.", "pedagogical_2pass"),
}
_HEAD = """# Catalogue

Every attention mechanism of the library: what it passes over, what it must keep, what it computes and moves beside
dense softmax attention, and the least time that it takes on three machines. `attnsim passes NAME` says why.

- **Passes** over the ranks that are streamed. A second pass over M needs all that is live kept, or read again.
- **Live words** are what is kept for each point of the ranks in brackets, then their number at the shape.
- **FLOP** and **bytes** are those of the cascade over those of dense, unmasked softmax attention at the same queries,
  keys and widths: 2 P M (E + F) FLOP a head, Q, K, V and output moved once. FLOP are products that are summed. Bytes
  are 16-bit words of inputs that are read and of outputs, once each: no mapping moves fewer. An input counts whole
  unless all its reads look coordinates up; shares of what depends on values are those that the cascade states.
- **Bounds** are the least seconds of this work and what takes them: `max(FLOP / tensor cores, special functions / their
  units, bytes / DRAM)` at rated clocks in bf16. On the FuseMax chip both arrays multiply and take exponentials, six
  cycles each, and one divides. Additions, comparisons, further passes and launches come on top.
- **Drawings** colour Einsums by the traversals that wait for each other, of whatever tensors; passes are those of one.
- **Shapes**: `text` is one request of 8192 tokens, 32 heads of 128; `decode` 16 requests of 16384 keys, 32 heads of 128
  in groups of four; `vision` 64 images of 56 x 56 tokens, four heads of 32. Where a paper has a shape of its own, that:
  `studies/data/catalogue_shapes.yaml` has all extents.

This page is made by `python -m studies.catalogue_page`, its numbers by `python -m studies.catalogue_costs`.
"""
_PAPERS = """## Papers

A: a claim of speed, size or cost. B: a mechanism without a claim of speed; its ceiling is its row above. U: what users
ask for. `boundable`: the ceiling follows from cascade and mapping. `machine`: with a stated machine, price or baseline.
`not attention`: the claim is of a whole network or of a baseline; the bound is shown, the rest unexplained.
`attnsim study run STUDY` prints published figure, ceiling and assumptions.

| row | paper | cascades | claim | version | verdict | study |
|---|---|---|---|---|---|---|
"""
_OTHERS = """
## Papers without an attention of their own

| row | paper | why there is no cascade |
|---|---|---|
"""
_BY = {"pe2d + pe1d": "arrays", "pe1d": "1-D array", "pe2d": "2-D array"}
_COLUMNS = "| cascade | from | passes | live words | shape | FLOP | bytes | H100 | B200 | FuseMax chip |"


def write_catalogue_page() -> str:
    """Return the page as Markdown."""
    table = read_table("catalogue")
    rows: dict[str, dict[str, Any]] = {
        row["cascade"]: {str(k): v for k, v in row.items()} for row in table.to_dict("records")
    }
    families = read_families()
    if missing := [name for name in families if name not in rows]:
        raise StudyError(f"not measured: {', '.join(missing)}; python -m studies.catalogue_costs measures")
    parts = [_HEAD]
    for family, (about, shown) in FAMILIES.items():
        names = [name for name, its in families.items() if its == family]
        picture = f"![The Einsums of {shown}, coloured by pass](images/catalogue_{family.replace(' ', '_')}.svg)"
        parts += [f"## {family.capitalize()}\n", f"{about} Drawn: `{shown}`.\n", f"{picture}\n"]
        parts += [_COLUMNS, "|---" * _COLUMNS.count(" | ") + "|---|", *(_cascade(n, rows[n]) for n in names), ""]
    papers = [row for row in read_rows() if row.kind != "C"]
    others = [row for row in read_rows() if row.kind == "C"]
    parts += [_PAPERS + "\n".join(map(_paper, papers))]
    parts += [_OTHERS + "\n".join(f"| {row.row} | {row.name} | {row.reason} |" for row in others), ""]
    return "\n".join(parts)


def _cascade(name: str, row: Mapping[str, Any]) -> str:
    known = find_mechanism(locate("cascades", name))
    assert known is not None
    passes = ", ".join(f"{rank} {count}" for rank, count in known.passes.items())
    per = str(row["live_per"]).split() if isinstance(row["live_per"], str) else []
    live = f"{row['live'].replace('*', ' ')}" + (f" ({', '.join(per)})" if per else "")
    if not isnan(row["live_words"]) and not row["live"].isdecimal():
        live += f": {row['live_words']:.0f}"
    cells = [f"`{name}`", known.source, passes, live, *_costs(row)]
    return "| " + " | ".join(cells) + " |"


def _costs(row: Mapping[str, Any]) -> list[str]:
    if not isinstance(row["group"], str):
        return [""] * 6
    ratios = [_short(row["flop_over_dense"]), _short(row["bytes_over_dense"])]
    bounds = [_bound(row[f"{m}_s"], str(row[f"{m}_by"])) for m in ("h100", "b200", "fusemax")]
    return [str(row["group"]), *ratios, *bounds]


def _bound(seconds: float, by: str) -> str:
    if isnan(seconds):  # the machine has no part for it
        return f"no {by}"
    scale, unit = (1e3, "ms") if seconds >= 1e-3 else (1e6, "us")
    return f"{_short(seconds * scale)} {unit}, {_BY.get(by, by)}"


def _short(value: float) -> str:
    """Return a number with three figures that count."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _paper(row: Row) -> str:
    cascades = ", ".join(f"`{name}`" for name in row.cascades)
    card = f"`{row.card}`" if row.card else ""
    return f"| {row.row} | {row.name} | {cascades} | {row.claim} | {row.version} | {row.verdict} | {card} |"


if __name__ == "__main__":
    print(write_catalogue_page(), end="")
