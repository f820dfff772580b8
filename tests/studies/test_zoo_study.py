"""The zoo's claims: what their arithmetic gives by formulas of its own, and no ceiling below a measurement."""

from math import isnan, log2

import pytest

from studies.catalogue import read_rows
from studies.study import Claim, Result, load_study
from studies.zoo_linear import cross
from studies.zoo_networks import read_share, saved_share
from studies.zoo_sparse import sharded_density


@pytest.fixture(scope="module")
def result() -> Result:
    return load_study("zoo").run()


def claims(result: Result, start: str) -> list[Claim]:
    return [claim for claim in result.card if claim.claim.startswith(start)]


def test_every_row_of_which_it_is_the_card_is_on_it(result: Result) -> None:
    rows = [row for row in read_rows() if row.card == "zoo"]
    assert len(rows) == 11
    assert [row.row for row in rows if not claims(result, row.row + " ")] == []
    assert [c.claim for c in result.card if not c.assumptions or not c.source] == []


def test_lightning_is_flat_and_crosses_where_it_was_measured_to(result: Result) -> None:
    table = result.tables["zoo_lightning"]
    forward = table[table["pass"] == "fwd"]
    long = forward[forward.length >= 8192]
    speed = long.length / long.lightning_model_ms
    assert speed.max() / speed.min() < 1.02
    assert all(c.verdict == "reproduced" for c in claims(result, "A8") if "beats" in c.claim or "predicted" in c.claim)


def test_no_forward_time_is_below_the_least_time_of_its_work(result: Result) -> None:
    table = result.tables["zoo_lightning"]
    forward = table[table["pass"] == "fwd"]
    for kernel in ("lightning", "flash"):
        assert (forward[f"{kernel}_bound_ms"] <= forward[f"{kernel}_ms"]).all()
        assert (forward[f"{kernel}_bound_ms"] <= forward[f"{kernel}_model_ms"]).all()


def test_sharded_context_has_the_density_of_a_walk_over_its_blocks() -> None:
    for blocks, near, stride in ((12, 2, 3), (40, 16, 16), (9, 9, 4)):
        seen = whole = 0
        for head in range(stride):
            for p in range(blocks):
                for m in range(p + 1):
                    whole += 1
                    seen += p - m < near or (m + head + 1) % stride == 0
        assert sharded_density(blocks, near, stride) == pytest.approx(seen / whole)


def test_ceilings_of_sharded_context_hold_and_are_those_of_the_closed_form(result: Result) -> None:
    table = result.tables["zoo_sharded_context"].set_index("stride")
    assert list(table.ceiling) == pytest.approx([13.0, 21.6, 32.3], abs=0.05)
    assert (table.published < table.predicted).all()
    assert (table.predicted <= table.ceiling).all()


def test_hierarchical_attention_grows_as_the_length_times_its_logarithm_while_keys_stay_in_l2(result: Result) -> None:
    table = result.tables["zoo_hierarchical"].set_index("length")
    assert list(table.flop_ratio) == pytest.approx([n / (256 * levels + 512) for n, levels in table.levels.items()])
    time = table.search_s + table.attend_s

    def law(short: int, long: int) -> float:
        return long * log2(long / 512) / (short * log2(short / 512))

    assert time[1 << 18] / time[1 << 16] == pytest.approx(law(1 << 16, 1 << 18), rel=0.1)
    assert time[1 << 20] / time[1 << 18] > law(1 << 18, 1 << 20)
    assert (table.speedup > 1).all()


def test_video_blocks_keep_more_than_was_measured(result: Result) -> None:
    for claim in claims(result, "A12 VMoBA: latency"):
        assert claim.published is not None
        assert claim.published < claim.ours
    (flop,) = claims(result, "A12 VMoBA: FLOP")
    assert flop.verdict == "reproduced"


def test_sparsifiers_predictor_is_a_fixed_quarter() -> None:
    """Its share of the dense core, by the paper's widths: half the width, a sixth of the tokens, one weight a pair."""
    tokens, width = 197, 64
    predictor = (2 * tokens * width * 32 + 2 * tokens * 32 * 33 + tokens**2) / (2 * tokens**2 * width)
    for kept in (12, 49, 98):
        assert saved_share(kept) == pytest.approx(1 - predictor - kept / tokens, abs=1e-9)


def test_routed_heads_leave_few_groups_unread() -> None:
    """Drawn: eight of sixteen routed heads, in four groups of four."""
    from itertools import combinations

    sets = list(combinations(range(16), 8))
    read = sum(len({head // 4 for head in chosen}) for chosen in sets) / len(sets)
    assert read_share(32, 16, 24, 4) == pytest.approx((4 + read) / 8)
    assert read_share(32, 16, 32, 4) == 1


def test_a_crossing_lies_between_the_points_around_it() -> None:
    assert 2 < cross([1, 2, 4], [4, 4, 4], [1, 3, 9]) < 4
    assert isnan(cross([1, 2], [1, 1], [2, 2]))  # the smaller throughout
