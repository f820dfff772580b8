"""Passes of the library beside those of the unrolling oracle, along the ranks that the data file states.

The plain softmax cascades are compared along all ranks, in `test_passes`.
"""

import pytest

from tests.einsum_cascades.zoo import NAMES, PLAIN, ZOO, complete, load
from tests.oracle.compare import compare_passes

# Where the general choice is too large to unroll, or needs more: extents, the rank that is looked at.
CHOSEN: dict[str, list[tuple[dict[str, int], str]]] = {
    "attention_agent": [({"M1": 8, "M0": 2}, "M"), ({"A": 8, "P0": 2}, "P")],
    "attention_aggregated": [({"D": 2, "R": 8}, "Y")],
    "attention_blocks": [({"Y1": 8, "Y0": 2}, "Y"), ({"Y0": 8}, "Y0")],
    "attention_gated_delta": [({"M1": 8}, "M")],
    "attention_gna_1d": [({"M": 8, "L": 1, "R": 7}, "M")],
    "attention_gna_2d": [({"X": 8, "Y": 2, "WX": 8, "WY": 2}, "N"), ({"Y": 8, "WY": 8}, "Y")],
    "attention_gna_3d": [({"X": 8, "Y": 2, "WX": 8, "WY": 2}, "N")],
    "attention_gna_causal": [({"M": 8, "W": 8}, "M")],
    "attention_grid": [({"Y1": 8, "Y0": 2}, "Y"), ({"Y1": 8}, "Y1")],
    "attention_kimi_delta": [({"M1": 8}, "M")],
    "attention_landmark": [({"N": 8, "W": 2}, "M")],
    "attention_landmark_retrieval": [({"N": 8, "W": 2}, "N")],
    "attention_multiview": [({"Y": 8}, "R"), ({"T": 8}, "U")],
    "attention_overlapping": [({"R": 8, "A": 2}, "Y")],
    "attention_p_laplacian": [({"M1": 8}, "M")],
    "attention_prompt_pool": [({"M1": 8, "M0": 2, "D": 2}, "M")],
    "attention_ring_striped": [({"D": 8}, "M")],
    "attention_two_axes": [({"S": 8}, "S"), ({"N": 8}, "N")],
    "attention_varied_size": [({"R": 8, "A": 2, "I": 2}, "Y")],
    "attention_window": [({"M": 8, "W": 8}, "M")],
    "attention_window_1pass": [({"M1": 8, "M0": 2, "W": 16}, "M")],
}
SLOW = {
    "attention_agent",
    "attention_aggregated",
    "attention_block_threshold",
    "attention_cascaded_heads",
    "attention_gated_delta",
    "attention_gna_2d",
    "attention_kimi_delta",
    "attention_landmark",
    "attention_multiview",
    "attention_native_sparse",
    "attention_p_laplacian",
    "attention_polar",
    "attention_two_axes",
}
# Two readings of a definition, where the analysis and the oracle part.
APART = {
    # What a convolution makes is an image of its stream to the analysis, and none to the oracle.
    "attention_local_gates": {
        "SY over Y, lineage: oracle 1, analysis 2",
        "SX over X, lineage: oracle 1, analysis 2",
    },
    # Blocks are gathered from those before the query's own: to the oracle a prefix, as the own block walks the stream;
    # to the analysis a fiber that a mask has shortened, gathered anew.
    "attention_block_mixture": {
        "K over M, direct: oracle 1, analysis 2",
        "K over M, lineage: oracle 1, analysis 2",
    },
}


def long(name: str, rank: str) -> dict[str, int]:
    """Eight coordinates along a rank, or eight tiles of two."""
    factors = {e.name: e.factors for e in load(name).extents}

    def root(extent: str) -> str:
        return root(factors[extent][0]) if len(factors[extent]) == 1 else extent

    outer, *inner = factors[root(rank)] or (root(rank),)
    return {root(x): 2 for x in inner} | {root(outer): 8}


def cases() -> list[object]:
    found = []
    for name in (n for n in NAMES if n not in PLAIN):
        ranks = ZOO["cascades"][name]["passes"]
        for given, rank in CHOSEN.get(name) or [(long(name, r), r) for r in ranks]:
            marks = [pytest.mark.extended] if name in SLOW else []
            found.append(pytest.param(name, given, rank, id=f"{name}-{rank}", marks=marks))
    return found


@pytest.mark.parametrize(("name", "given", "rank"), cases())
def test_passes_agree_with_the_unrolling_oracle(name: str, given: dict[str, int], rank: str) -> None:
    cascade = load(name)
    compared, differences = compare_passes(cascade, complete(cascade, given), {rank})
    assert compared > 0
    assert set(differences) <= APART.get(name, set())
