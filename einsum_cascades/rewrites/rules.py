"""All rules by name."""

from __future__ import annotations

from einsum_cascades.rewrites.absorb import absorb
from einsum_cascades.rewrites.defer import defer, distribute, stage
from einsum_cascades.rewrites.extract import extract
from einsum_cascades.rewrites.fuse import fuse, prune
from einsum_cascades.rewrites.online import combine, online
from einsum_cascades.rewrites.recentre import recentre
from einsum_cascades.rewrites.rule import Rule
from einsum_cascades.rewrites.scan import scan
from einsum_cascades.rewrites.share import share, unfuse
from einsum_cascades.rewrites.split import split

__all__ = ["RULES"]

RULES: dict[str, Rule] = {
    "defer": defer,
    "distribute": distribute,
    "stage": stage,
    "split": split,
    "scan": scan,
    "online": online,
    "combine": combine,
    "recentre": recentre,
    "share": share,
    "absorb": absorb,
    "extract": extract,
    "fuse": fuse,
    "unfuse": unfuse,
    "prune": prune,
}
