"""From counts to speed-ups: mean tiles with a mask tax, the cost of laying tokens out, a model end to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from arch_specs.reader import Node, Problems, read_yaml
from einsum_cascades.diagnostics import Source, SpecError, read_source, suggest
from simulator.masks.gna import GnaCounts

__all__ = ["Calibration", "estimate_speedup", "load_calibration", "permuted_bytes", "speed_up_model"]

_FILE = Path(__file__).parent / "calibration.yaml"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Named terms by GPU: the mask tax and the cost of gathers by number of dimensions, the rate of permutation."""

    mask_tax: Mapping[str, tuple[float, ...]]
    gather: Mapping[str, tuple[float, ...]]
    permute_bytes_per_s: Mapping[str, float]
    sources: tuple[str, ...]

    def tax(self, gpu: str, rank: int) -> float:
        """Return the mask tax on a GPU for a map of `rank` dimensions, that of the most known beyond; SpecError.

        >>> load_calibration().tax("b200", 3)
        1.53
        """
        if gpu not in self.mask_tax:
            hint = suggest(gpu, self.mask_tax) or f"one of {', '.join(self.mask_tax)}"
            raise SpecError(f"no mask tax is known for '{gpu}': {hint}")
        return _at_rank(self.mask_tax[gpu], rank)

    def gather_cost(self, gpu: str, rank: int) -> float:
        """Return what a step takes whose rows are gathered, over one whose rows lie together; 1 where none is known.

        >>> load_calibration().gather_cost("a100", 1), load_calibration().gather_cost("a100", 3)
        (1.0, 1.9)
        """
        return _at_rank(self.gather.get(gpu, (1.0,)), rank)


def _at_rank(values: tuple[float, ...], rank: int) -> float:
    return values[min(rank, len(values)) - 1]


@lru_cache
def load_calibration() -> Calibration:
    """Return the shipped calibration; each term names its effect, the data it was fitted on and its source."""
    problems = Problems()
    root = read_yaml(Source(_FILE.name, read_source(_FILE).text), problems)
    names = ("mask_tax", "gather", "permutation")
    fields = root.mapping(names)
    tax, gather, permutation = (_read_term(fields[name]) for name in names)
    made = Calibration(
        mask_tax={key: tuple(one.number() for one in node.items()) for key, node in tax[0].items()},
        gather={key: tuple(one.number() for one in node.items()) for key, node in gather[0].items()},
        permute_bytes_per_s={key: float(node.quantity("bytes_per_s")) for key, node in permutation[0].items()},
        sources=(tax[1], gather[1], permutation[1]),
    )
    problems.finish()
    return made


def _read_term(node: Node) -> tuple[dict[str, Node], str]:
    """Return the values of a term by GPU, and where they are from."""
    fields = node.mapping(("effect", "fitted", "source", "values"))
    fields["effect"].text()
    fields["fitted"].text()
    return {key.key: value for key, value in fields["values"].entries()}, fields["source"].text()


def estimate_speedup(counts: GnaCounts, mask_tax: float, *, dynamic: bool = False) -> float:
    """Return the speed-up over dense attention of a kernel whose time is tiles visited, each taxed unless none is.

    `dynamic`: the tiles visited are those of keys tiled from the first one that a Q tile needs.

    >>> from simulator.masks.gna import count_tiles
    >>> one = (1, 1)
    >>> round(estimate_speedup(count_tiles((256, 256), (80, 80), one, one, (0, 0), (16, 16), (16, 8)), 1.46), 2)
    4.84
    """
    visited = counts.dynamic_tiles if dynamic else counts.visited_tiles
    return counts.dense_q_tiles * counts.dense_kv_tiles / visited / (1.0 if counts.block_sparse else mask_tax)


def permuted_bytes(tokens: int, heads: int, head_dim: int, *, batch: int = 1, word_bytes: int = 2) -> int:
    """Return the bytes that laying out Q, K and V in tiles, and the output back, reads and writes.

    >>> permuted_bytes(115200, 24, 128) / 2**30
    5.2734375
    """
    return 4 * 2 * batch * tokens * heads * head_dim * word_bytes


def speed_up_model(share: float, speedup: float, *, steps: int = 1, dense_steps: int = 0) -> float:
    """Return the speed-up end to end where attention takes `share` of the time and the first steps stay dense.

    Amdahl's law. Source: arXiv 2504.16922, section 4.

    >>> round(speed_up_model(0.607, 11.1, steps=50, dense_steps=15), 2)
    1.63
    """
    moved = share * (steps - dense_steps) / steps
    return 1 / (1 - moved + moved / speedup)
