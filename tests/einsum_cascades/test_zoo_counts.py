"""Operations of the library's mechanisms are the closed forms that papers and their analyses give.

Counted are products, of the Einsums named: an operation of two is a product and a sum.
"""

from collections.abc import Callable
from math import prod

import pytest

from einsum_cascades.counts import compulsory_words, count_operations
from einsum_cascades.extents import resolve_extents
from tests.einsum_cascades.zoo import complete, load

Form = Callable[[dict[str, int]], float]
DENSE = {"B": 2, "H": 3, "E": 4, "F": 5, "P": 6, "M1": 4, "M0": 2}

# cascade, the Einsums that count, extents, the closed form
FORMS: dict[str, tuple[str, dict[str, int], Form]] = {
    "attention_1pass": ("QK SLNV", DENSE, lambda e: e["B"] * e["H"] * e["P"] * e["M"] * (e["E"] + e["F"])),
    "attention_causal_1pass": (
        "QK SLNV",
        DENSE | {"P": 8},
        lambda e: e["B"] * e["H"] * e["M"] * (e["M"] + 1) / 2 * (e["E"] + e["F"]),
    ),
    "attention_gna_2d": (
        "QK SLNV",
        {"E": 4, "F": 5, "X": 9, "Y": 8, "WX": 3, "WY": 4, "SX": 2, "SY": 4, "DX": 2},
        lambda e: e["N"] * e["WX"] * e["WY"] * (e["E"] + e["F"]),
    ),
    "attention_gna_3d": (
        "QK SLNV",
        {"E": 4, "F": 5, "X": 4, "Y": 6, "Z": 5, "WX": 2, "WY": 4, "WZ": 3, "SY": 2},
        lambda e: e["N"] * e["WX"] * e["WY"] * e["WZ"] * (e["E"] + e["F"]),
    ),
    # A chunk costs half of (E + F) M0 a token, its diagonal counted, the state 2 E F.
    "attention_lightning": (
        "QK IN QS SN",
        {"E": 128, "F": 128, "M1": 4, "M0": 64},
        lambda e: e["M"] * ((e["E"] + e["F"]) * (e["M0"] + 1) / 2 + 2 * e["E"] * e["F"]),
    ),
    "attention_retention": ("O", {"E": 4, "F": 5, "M": 7}, lambda e: e["M"] * e["E"] * e["F"]),
    "attention_linear": ("S N", {"E": 4, "F": 5, "P": 6, "M": 7}, lambda e: (e["P"] + e["M"]) * e["E"] * e["F"]),
    "attention_head_spans": (
        "QK SLNV",
        {"H": 3, "E": 4, "F": 5, "P": 6, "M1": 4, "M0": 4, "W": 5},
        lambda e: e["H"] * e["P"] * e["W"] * (e["E"] + e["F"]),
    ),
    # Each level looks at both halves of TOP ranges; what is left is TOP ranges of BK keys.
    "attention_hierarchical": (
        "S QK SLNV",
        {"E": 4, "F": 5, "TOP": 3, "L": 2, "BK": 2, "I": 1, "N": 1},
        lambda e: 2 * e["TOP"] * e["E"] * e["L"] + e["TOP"] * e["BK"] * (e["E"] + e["F"]),
    ),
    "attention_block_threshold": (
        "G QK SLNV",
        {"E": 4, "F": 5, "N": 8, "W": 4, "R": 2},
        lambda e: e["M"] * e["N"] * e["E"] + e["M"] * e["M"] * e["R"] / e["N"] * (e["E"] + e["F"]),
    ),
    "attention_bilevel": (
        "AR QK SLNV",
        {"E": 4, "F": 5, "N": 6, "W": 4, "K": 2},
        lambda e: e["N"] ** 2 * e["E"] + e["M"] * e["K"] * e["W"] * (e["E"] + e["F"]),
    ),
    "attention_sparsified": (
        "QP KP KD S A QK SNV",
        {"E": 8, "F": 8, "P": 12, "M": 12, "D": 4, "R": 2, "J": 2, "T": 3},
        lambda e: (
            2 * e["M"] * e["E"] * e["D"]
            + 2 * e["M"] * e["D"] * e["R"]
            + e["M"] ** 2 * e["J"]
            + e["M"] * e["T"] * (e["E"] + e["F"])
        ),
    ),
    "attention_agent": (
        "S1 SLNV S2 SNVA",
        {"E": 4, "F": 5, "A": 3, "P0": 4, "M1": 3, "M0": 5},
        lambda e: e["A"] * (e["P"] + e["M"]) * (e["E"] + e["F"]),
    ),
    "attention_channels": ("S Z", {"N": 6, "G": 2, "C": 4}, lambda e: 2 * e["N"] * e["G"] * e["C"] ** 2),
    "attention_blocks": (
        "QK SNV",
        {"E": 4, "F": 5, "Y1": 2, "Y0": 3, "X1": 4, "X0": 2},
        lambda e: e["Y"] * e["X"] * e["Y0"] * e["X0"] * (e["E"] + e["F"]),
    ),
    "attention_overlapping": (
        "QK SNV",
        {"E": 4, "F": 5, "R": 2, "A": 4, "C": 3, "B": 2},
        lambda e: e["Y"] * e["X"] * e["T"] * e["S"] * (e["E"] + e["F"]),
    ),
    "attention_single_head": (
        "Q K V QK SNV Z",
        {"C": 8, "G": 8, "E": 4, "N": 6, "SLICE": 3},
        lambda e: (
            e["N"] ** 2 * (e["E"] + e["SLICE"]) + e["N"] * e["SLICE"] * (2 * e["E"] + e["SLICE"]) + e["N"] * e["C"] ** 2
        ),
    ),
    "attention_mixture_of_heads": (
        "QK SLNV",
        {"H": 8, "E": 4, "F": 5, "P": 6, "M1": 4, "M0": 2, "T": 6, "SHARED": 2},
        lambda e: e["T"] * e["P"] * e["M"] * (e["E"] + e["F"]),
    ),
    # What the index scans, and TOP keys twice: scored again and averaged.
    "attention_retrieval": (
        "HS QH NH",
        {"E": 4, "F": 5, "P": 1, "M1": 8, "M0": 4, "SINK": 1, "WINDOW": 1, "S": 8, "T": 3},
        lambda e: (e["M"] - 2) * e["S"] / e["M"] * e["E"] + e["T"] * (e["E"] + e["F"]),
    ),
    "attention_indexed": (
        "XS SC SR SLNV",
        {"H": 8, "D": 16, "R": 4, "P": 1, "M": 64, "J": 4, "X": 8, "T1": 2, "T0": 4},
        lambda e: e["J"] * e["X"] + e["H"] * e["T"] * (2 * e["D"] + e["R"]),  # the one query sees the first key alone
    ),
    "attention_p_laplacian": (
        "QK LN",
        {"E": 4, "F": 5, "M1": 3, "M0": 2},
        lambda e: e["M"] ** 2 * (e["E"] + e["F"]) - e["M"] * e["F"],
    ),
    "attention_backward": (
        "QK DV DA DQ DK",
        {"B": 1, "H": 1, "E": 4, "F": 4, "P": 6, "M": 8},
        lambda e: 2.5 * e["P"] * e["M"] * (e["E"] + e["F"]),
    ),
    "attention_multiview": (
        "QKM SLNVM",
        {"E": 4, "F": 5, "T": 2, "Y": 3, "X": 4},
        lambda e: (e["T"] * e["Y"] * e["X"]) ** 2 / e["Y"] * (e["E"] + e["F"]),
    ),
    "attention_decoupled": (
        "QK SLNV QKI SLNVI",
        {"E": 4, "F": 5, "P": 6, "M1": 3, "M0": 2, "N1": 2, "N0": 2},
        lambda e: e["P"] * (e["M"] + e["N"]) * (e["E"] + e["F"]),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_products_are_the_closed_form(name: str) -> None:
    names, given, form = FORMS[name]
    cascade = load(name)
    extents = complete(cascade, given)
    operations = count_operations(cascade)
    found = sum(operations[einsum]["mul"].evaluate(extents) for einsum in names.split())
    assert float(found) == form(extents)


@pytest.mark.parametrize(("local", "stride", "blocks"), [(2, 3, 12), (1, 1, 5), (4, 5, 9)])
def test_sharded_context_sees_near_blocks_and_its_share_of_far_ones(local: int, stride: int, blocks: int) -> None:
    cascade = load("attention_sharded_context")
    shape = {"B": 1, "H": stride, "E": 1, "F": 1, "M1": blocks, "M0": 1, "P1": blocks, "LOCAL": local, "STRIDE": stride}
    pairs = count_operations(cascade)["QK"]["mul"].evaluate(resolve_extents(cascade, shape))
    near = sum(min(i + 1, local) for i in range(blocks))
    far = blocks * (blocks + 1) // 2 - near
    assert pairs == stride * near + far  # the heads share the far blocks evenly, each block seen by one of them


def test_a_latent_is_read_once_for_all_heads() -> None:
    cascade = load("attention_mla_1pass")
    extents = complete(cascade, {"H": 128, "E": 128, "F": 128, "D": 512, "R": 64, "P": 1, "M1": 512, "M0": 8})
    latent = extents["M"] * (512 + 64)
    weights = 2 * 128 * 128 * 512
    assert compulsory_words(cascade).evaluate(extents) == latent + weights + 128 * (128 + 64) + 128 * 128


def test_an_indexer_reads_no_more_latents_than_it_chooses() -> None:
    cascade = load("attention_indexed")
    given = {"H": 2, "E": 3, "F": 3, "D": 5, "R": 2, "P": 1, "M": 1000, "J": 2, "X": 4, "T1": 2, "T0": 4}
    extents = complete(cascade, given)
    words = {t.name: prod(extents[r] for r in t.ranks) for t in cascade.tensors}
    chosen = 8 * (5 + 2)
    others = sum(words[n] for n in ("Q", "QR", "UK", "UV", "QX", "KX", "WX", "O"))
    assert compulsory_words(cascade).evaluate(extents) == chosen + others
