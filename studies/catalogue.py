"""What is known of the library's cascades beside their text: family, source, passes, claims; from `zoo.yaml`.

The file lies with the cascades. Its passes are stated, not counted, so that a list is made at once; a test counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["Mechanism", "Row", "find_mechanism", "read_families", "read_rows"]


@dataclass(frozen=True, slots=True)
class Row:
    """One paper, or one thing that users ask for: what it claims, in which revision, and what answers for it.

    `kind` is A (a claim of speed, size or cost), B (a mechanism), C (none, for a `reason`) or U (asked for); `verdict`
    says what a model can say of the claim, `card` which study does.
    """

    row: str
    name: str
    kind: str
    cascades: tuple[str, ...] = ()
    claim: str = ""
    version: str = ""
    verdict: str = ""
    card: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """What is known of one cascade; `passes` by rank as text, `claims` those of its papers."""

    family: str
    source: str
    passes: Mapping[str, str]
    claims: tuple[str, ...]


@lru_cache(maxsize=1)
def _file() -> tuple[Path, Mapping[str, Any]]:
    import yaml

    spec = find_spec("einsum_cascades")
    folder = Path((spec.submodule_search_locations or ["."])[0]) if spec is not None else Path()
    path = folder / "library" / "zoo.yaml"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return path, yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def read_rows() -> tuple[Row, ...]:
    """Return the rows of the catalogue, in order: A, B, C, then what users ask for.

    >>> [row.name for row in read_rows() if "attention_hierarchical" in row.cascades]
    ['HiP']
    """
    return tuple(
        Row(
            **{name: value for name, value in row.items() if name not in ("class", "cascades")},
            kind=row["class"],
            cascades=tuple(row.get("cascades", ())),
        )
        for row in _file()[1]["papers"]
    )


def read_families() -> dict[str, str]:
    """Return the family of each cascade of the library, in the order of the file.

    >>> read_families()["attention_1pass"]
    'softmax'
    """
    return {name: known["family"] for name, known in _file()[1]["cascades"].items()}


def find_mechanism(path: Path) -> Mechanism | None:
    """Return what is known of a cascade by its file; None for one that is not shipped.

    >>> from einsum_cascades.registry import locate
    >>> found = find_mechanism(locate("cascades", "attention_3pass"))
    >>> (found.family, dict(found.passes)) if found else None
    ('softmax', {'M': '3'})
    """
    file, data = _file()
    known = data["cascades"].get(path.stem)
    if known is None or path.parent != file.parent:
        return None
    claims = tuple(r.claim for r in read_rows() if path.stem in r.cascades and r.claim not in ("", "none of speed"))
    passes = {rank: str(count) for rank, count in known["passes"].items()}
    return Mechanism(known["family"], known["from"], passes, claims)
