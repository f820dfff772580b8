"""From the definition of attention to a design at or below the published one, each step in a table."""

from functools import cache

from studies.rediscover import Scope, explore
from studies.study import Result

AXES = {"pe_dim": (256,), "vector_lanes": (128,), "buffer_mib": (4,), "banks": (2,)}


@cache
def small() -> Result:
    return explore(Scope((4096,), AXES, 4096, 150))


def test_the_published_totals_are_derived() -> None:
    claims = [c for c in small().card if c.published is not None]
    assert len(claims) == 8
    assert all(c.verdict == "reproduced" for c in claims)


def test_the_design_found_is_no_slower_than_the_published_one() -> None:
    ratios = [c.ours for c in small().card if c.published is None]
    assert len(ratios) == 3
    assert all(ratio <= 1 for ratio in ratios)


def test_every_path_of_the_front_is_recorded() -> None:
    steps = small().tables["rediscover_steps"]
    ends = steps.groupby("path").last()
    assert list(ends["ends_as"]) == ["attention_1pass", "attention_split_kv", "attention_3pass_deferred"]
    assert list(ends["passes_M"]) == [1, 1, 2]
    assert set(small().tables["rediscover_candidates"]["cascade"]) == set(ends["ends_as"])
