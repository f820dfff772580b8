"""Serve a trace: the policy, the tiers, and what came of every request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from einsum_cascades.diagnostics import MappingError, Problem, SpecError
from simulator.serving.requests import Requests
from simulator.serving.steptable import StepTable
from simulator.serving.steptime import KvPool, StepTime

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["Policy", "Served", "Tier", "serve"]

_BY_REQUEST = ("context", "need", "done", "held", "where", "chunk", "running", "back")


@dataclass(frozen=True, slots=True)
class Tier:
    """A place for caches sent away: bytes that it holds, and bytes a second to it and back. Searched in order."""

    name: str
    bytes: float
    write_bytes_per_s: float
    read_bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Policy:
    """Continuous batching: most tokens of a step (prompts are cut to fit), and most requests that run at a time."""

    token_budget: int = 2048
    most_running: int = 256
    tiers: tuple[Tier, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        if self.most_running < 1:
            problems.append(Problem(f"{self.most_running} running requests: at least 1"))
        if self.token_budget < self.most_running:
            hint = "every running request decodes a token in each step"
            problems.append(
                Problem(f"a budget of {self.token_budget} tokens for {self.most_running} requests", hint=hint)
            )
        problems += [
            Problem(f"tier '{t.name}' holds bytes and moves them, found {t.bytes:g} B")
            for t in self.tiers
            if min(t.bytes, t.write_bytes_per_s, t.read_bytes_per_s) <= 0
        ]
        if problems:
            raise SpecError(problems)


@dataclass(frozen=True)
class Served:
    """When each request had its first token and its last, in seconds as its arrival; totals by name (`COUNTERS`)."""

    requests: Requests
    first_s: Floats
    end_s: Floats
    totals: dict[str, float]

    @property
    def ttft_s(self) -> Floats:
        """The time to first token of each request."""
        return self.first_s - self.requests.arrived_s

    @property
    def tpot_s(self) -> Floats:
        """The time per token after the first of each request; 0 where there is none."""
        import numpy as np  # noqa: PLC0415 - a policy needs none

        after: Floats = (self.end_s - self.first_s) / np.maximum(self.requests.generated - 1, 1)
        return after


def serve(
    requests: Requests, step: StepTime | StepTable, pool: KvPool, policy: Policy | None = None, *, python: bool = False
) -> Served:
    """Return what becomes of every request on one server; `python` runs the loop uncompiled.

    Raises MappingError for requests whose cache would not fit an empty pool: the largest, and by how much.
    """
    import numpy as np  # noqa: PLC0415

    from simulator.engine.jit import compiled  # noqa: PLC0415 - imports numba
    from simulator.serving.kernel import COUNTERS, Server, run_server  # noqa: PLC0415 - likewise

    policy = policy or Policy()
    table = step if isinstance(step, StepTable) else StepTable((), (), (), ())
    numbers = step if isinstance(step, StepTime) else StepTime(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    _check_fit(requests, pool)
    count = len(requests)
    tiers = [(t.bytes, t.write_bytes_per_s, t.read_bytes_per_s, 0.0) for t in policy.tiers]
    server = Server(
        arrived=np.asarray(requests.arrived_s, float),
        prompt=np.asarray(requests.prompt, np.int64),
        generated=np.asarray(requests.generated, np.int64),
        **{name: np.zeros(count, np.int64) for name in _BY_REQUEST},
        first=np.zeros(count),
        end=np.zeros(count),
        step=np.array([*numbers.parameters(), pool.block_bytes], float),
        policy=np.array([policy.token_budget, policy.most_running, pool.blocks, pool.block_tokens], np.int64),
        tiers=np.array(tiers, float).reshape(-1, 4),
        at=np.array([pool.blocks, 0, 0, 0, 0, 0], np.int64),
        totals=np.zeros(len(COUNTERS)),
        tokens=np.array(table.tokens),
        keys=np.array(table.keys),
        decode=np.array(table.decode).reshape(len(table.tokens), len(table.keys)),
        prefill=np.array(table.prefill),
    )
    (run_server if python else compiled(run_server))(server)
    return Served(requests, server.first, server.end, dict(zip(COUNTERS, server.totals.tolist(), strict=True)))


def _check_fit(requests: Requests, pool: KvPool) -> None:
    longest = int((requests.prompt + requests.generated - 1).max(initial=0))
    blocks = -(-longest // pool.block_tokens)
    if blocks > pool.blocks:
        room = pool.blocks * pool.block_tokens
        raise MappingError(
            f"a request of {longest} tokens needs {(blocks - pool.blocks) * pool.block_bytes / 1e9:.2f} GB more cache "
            f"than the pool of {room} tokens has"
        )
