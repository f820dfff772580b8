"""Parts of a sweep evaluated in order: in this process, in several on this machine, or on a Dask cluster."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol

from einsum_cascades.diagnostics import SpecError
from simulator.sweep.run import Sweep
from studies.sweep_parts import PartFormat, encode

__all__ = ["Part", "part_rows", "render_parts"]

Part = tuple[int, int, bytes]  # number, feasible designs, the table as a file


def part_rows(sweep: Sweep) -> int:
    """Return how many designs a part has; it depends on the sweep alone, so that parts can be resumed."""
    if sweep.vector is None or sweep.space.method == "cycle":
        return sweep.block
    return 32_768 if sweep.vector.compiles else 16_384


def render(sweep: Sweep, form: PartFormat, number: int) -> Part:
    """Return one part of a sweep."""
    rows = part_rows(sweep)
    blocks = list(sweep.blocks(number * rows, (number + 1) * rows))
    if len(blocks) == 1:
        table = blocks[0]
    else:
        import numpy as np

        table = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return number, int(table["feasible"].sum()), encode(table, sweep.space.fields, form)


def render_parts(
    sweep: Sweep, form: PartFormat, numbers: Sequence[int], workers: int = 1, scheduler: str | None = None
) -> Iterator[Part]:
    """Yield parts in the order of their numbers, whoever evaluates them; at most a few more are under way."""
    if scheduler is None and workers <= 1:
        yield from (render(sweep, form, number) for number in numbers)
        return
    with _cluster(sweep, scheduler) if scheduler is not None else _processes(sweep, workers) as (submit, at_once):
        waiting: deque[_Future] = deque()
        for number in numbers:
            waiting.append(submit(_render_remote, form, number))
            if len(waiting) >= at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Future(Protocol):
    def result(self) -> Part: ...


Submit = Callable[..., _Future]


@lru_cache(maxsize=2)
def _rebuilt(pickled: bytes) -> Sweep:
    import pickle

    return Sweep(pickle.loads(pickled))


def _render_remote(pickled: bytes, form: PartFormat, number: int) -> Part:
    """Return one part in another process; a sweep is built there once."""
    return render(_rebuilt(pickled), form, number)


def _pickle(sweep: Sweep) -> bytes:
    import pickle

    return pickle.dumps(sweep.space)


def _ignore_interrupt() -> None:
    # Ctrl-C reaches every process of a terminal; only the one that collects the parts is to act on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _processes(sweep: Sweep, workers: int) -> Iterator[tuple[Submit, int]]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    if sweep.vector is not None:
        sweep.vector.prepare()
    pickled = _pickle(sweep)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupt)
    try:
        yield lambda run, *args: pool.submit(run, pickled, *args), 2 * workers
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _cluster(sweep: Sweep, scheduler: str) -> Iterator[tuple[Submit, int]]:
    try:
        connect: Any = import_module("distributed").Client
    except ImportError as error:
        raise SpecError("a cluster needs Dask: install 'attnsim[cluster]'") from error
    try:
        client = connect(scheduler, timeout=5)
    except (OSError, ValueError) as error:
        raise SpecError(f"no Dask scheduler answers at {scheduler}") from error
    with client:
        pickled = client.scatter(_pickle(sweep), broadcast=True)
        threads = sum(client.nthreads().values())

        def submit(run: Callable[..., Part], *args: Any) -> Any:
            return client.submit(run, pickled, *args, pure=False)

        yield submit, 2 * max(1, threads)
