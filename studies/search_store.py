"""What a search leaves on disk: its answer, so that the same question costs nothing again, and its state, to go on.

An answer is kept in the user's cache folder under the hash of everything that determines it, this package's own text
included. A state is kept in a folder that the user names; each file is whole or not there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from einsum_cascades.diagnostics import Problem, SpecError
from simulator.kernels.folder import kept_folder
from studies.output import plain, replacing, write_whole

if TYPE_CHECKING:
    from arch_specs.model import Architecture
    from simulator.search.search import Options
    from simulator.workload import Workload

__all__ = ["Checkpoint", "describe_search", "keep_answer", "kept_answer"]

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("arch_specs", "einsum_cascades", "simulator", "studies")
_PAUSE_S = 2.0  # between two states
_SHARE = 20  # a state takes no more than this part of the time


def describe_search(
    workload: Workload, architecture: Architecture, options: Options, mappings: Mapping[str, Path]
) -> dict[str, Any]:
    """Return what determines every byte of a search's answer; `mappings` are those that it is compared with."""
    from einsum_cascades.printer import print_cascade

    machine = (architecture.name, architecture.clock_hz, architecture.parts, architecture.node_m)
    return {
        "code": _code(),
        "cascade": {"name": workload.cascade.name, "sha256": _hash(print_cascade(workload.cascade))},
        "architecture": {"name": architecture.name, "sha256": _hash(repr(machine))},
        "extents": dict(workload.extents),
        "equal_extents": dict(workload.equal),
        "word_bits": workload.word_bits,
        "bits": dict(workload.bits),
        "options": plain(asdict(options)),
        "mappings": {name: _hash(path.read_text("utf-8")) for name, path in mappings.items()},
    }


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _code() -> str:
    """Return the hash of the text of the packages: what is kept by one version is not the answer of another."""
    digest = sha256()
    for path in sorted(path for package in _PACKAGES for path in (_ROOT / package).rglob("*.py")):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _answer_path(description: Mapping[str, Any]) -> Path | None:
    folder = kept_folder()
    name = _hash(json.dumps(description, sort_keys=True))
    return None if folder is None else folder / f"search-{name}.json"


def kept_answer(description: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the answer that is kept for a search, or None."""
    path = _answer_path(description)
    with suppress(OSError, ValueError):
        if path is not None and path.exists():
            found: dict[str, Any] = json.loads(path.read_text("utf-8"))
            return found
    return None


def keep_answer(description: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Keep the answer of a search, where there is a folder for it."""
    path = _answer_path(description)
    if path is not None:
        with suppress(SpecError), replacing(path) as temporary:
            temporary.write_text(json.dumps(answer, allow_nan=False), encoding="utf-8")


@dataclass
class Checkpoint:
    """A folder with the state of one search."""

    folder: Path
    _last: float = field(default_factory=time.monotonic)
    _pause: float = field(default_factory=lambda: _PAUSE_S)

    def open(self, description: Mapping[str, Any]) -> bytes | None:
        """Return the state that the folder holds, None at the begin; SpecError where it is that of another search."""
        path, wanted = self.folder / "search.json", json.loads(json.dumps(description))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for left_over in self.folder.glob(".*.tmp"):
                left_over.unlink(missing_ok=True)
            if not path.exists():
                if any(self.folder.iterdir()):
                    raise SpecError(
                        Problem(f"{self.folder} holds files that are no search", hint="name another folder")
                    )
                write_whole(path, (json.dumps(wanted, indent=2) + "\n").encode())
                return None
            there = json.loads(path.read_text("utf-8"))
            state = self.folder / "state"
            held = state.read_bytes() if state.exists() else None
        except json.JSONDecodeError as error:
            raise SpecError(f"{self.folder}: its description is broken: remove it, or name another folder") from error
        except OSError as error:
            reason = (error.strerror or "unknown error").lower()
            raise SpecError(f"{self.folder}: cannot be used: {reason}") from error
        if other := [key for key in wanted if there.get(key) != wanted[key]]:
            raise SpecError(
                Problem(f"{self.folder} holds another search: {', '.join(other)} differ", hint="name another folder")
            )
        return held

    def keep(self, freeze: Callable[[], bytes]) -> None:
        """Write a state, unless the last is but a moment old."""
        begun = time.monotonic()
        if begun - self._last >= self._pause:
            write_whole(self.folder / "state", freeze())
            self._last = time.monotonic()
            self._pause = max(_PAUSE_S, _SHARE * (self._last - begun))
