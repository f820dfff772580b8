"""A word to people while machine code is made, which happens once and takes long enough to wonder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

__all__ = ["telling_of_compiling"]


@contextmanager
def telling_of_compiling(what: str = "the engine", seconds: int = 20, *, wanted: bool = True) -> Iterator[None]:
    """Say on standard error, once, when the block begins to compile; code that is kept from before says nothing.

    It takes about `seconds`. Unless `wanted`, nothing is imported to listen.
    """
    if not wanted:
        yield
        return
    from numba.core import event

    class Listener(event.Listener):
        told = False

        def on_start(self, event: Any) -> None:
            if not self.told:
                once = "" if os.environ.get("ATTNSIM_NO_CACHE") else ", once"
                click.echo(f"compiling {what}{once} (about {seconds} s)...", err=True)
            self.told = True

        def on_end(self, event: Any) -> None:
            """Nothing is said when it is done: the answer follows."""

    with event.install_listener("numba:compile", Listener()):
        yield
