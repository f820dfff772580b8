"""What can be said of the speed that attention papers claim, from their cascades and a machine?

The papers with a claim of speed and without a study of their own: Lightning 1 and 2, S2-Attention, MoA, HiP, VMoBA,
MoH, Sparsifiner, SHViT, EfficientViT, Faster NA. Expected: flatness, crossover and FLOP ratios follow; ceilings are
above what is measured, by named effects; the speed of whole networks does not come from their attention.
"""

from __future__ import annotations

import pandas as pd

from studies.catalogue import read_rows
from studies.study import Result, Say, Study
from studies.zoo_figures import draw_hip, draw_lightning, draw_sparse
from studies.zoo_linear import claim_lightning, tabulate_lightning
from studies.zoo_networks import claim_networks, tabulate_networks
from studies.zoo_sparse import claim_sparse, tabulate_hip, tabulate_sharded, tabulate_video

__all__ = ["STUDY"]


def tabulate_verdicts() -> pd.DataFrame:
    """Return of each paper with a claim of speed: claim, version, what can be said of it, and which study does."""
    rows = [row for row in read_rows() if row.kind == "A"]
    fields = ("row", "name", "claim", "version", "verdict", "card")
    return pd.DataFrame([{field: getattr(row, field) for field in fields} for row in rows])


def _analyze(say: Say) -> Result:
    say("zoo: lightning, sharded and hierarchical attention, video blocks, small networks")
    lightning, sharded, hip = tabulate_lightning(), tabulate_sharded(), tabulate_hip()
    video, networks = tabulate_video(), tabulate_networks()
    tables = {
        "zoo_lightning": lightning,
        "zoo_sharded_context": sharded,
        "zoo_hierarchical": hip,
        "zoo_video_blocks": video,
        "zoo_networks": networks,
        "zoo_verdicts": tabulate_verdicts(),
    }
    figures = {
        "zoo_lightning": draw_lightning(lightning),
        "zoo_hierarchical": draw_hip(hip),
        "zoo_sparse": draw_sparse(sharded, video),
    }
    card = (*claim_lightning(lightning), *claim_sparse(sharded, hip, video), *claim_networks(networks))
    return Result(tables, figures, card)


STUDY = Study(
    name="zoo",
    question="What can be said of the speed that attention papers claim, from their cascades and a machine?",
    paper="eleven papers, 2023 to 2025; each row of the card names its own",
    analyze=_analyze,
)
