"""Compiled kernels: generated source is a file in a cache folder, named by its content, imported and compiled once.

numba can keep machine code only for functions that come from a file; `folder` says where it is. Compile before work is
spread over processes: a lock keeps two from compiling the same kernel, but not from waiting.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.extending import intrinsic

from simulator.kernels.folder import kept_folder

__all__ = ["compile_source", "compiled", "read", "select", "write"]

_SIGNATURE = "void(i8, f8[::1], f8[::1], f8[::1])"


@intrinsic
def select(typing_context: Any, condition: Any, yes: Any, no: Any) -> Any:
    """Return `yes` where a condition holds, else `no`, in one instruction without a branch."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return types.float64(types.boolean, types.float64, types.float64), generate


@intrinsic
def read(typing_context: Any, array: Any, place: Any) -> Any:
    """Return an array's number at a place that is known to be inside it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return types.float64(array, types.int64), generate


@intrinsic
def write(typing_context: Any, array: Any, place: Any, value: Any) -> Any:
    """Put a number into an array at a place that is known to be inside it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        builder.store(args[2], builder.gep(data, [args[1]]))
        return context.get_dummy_value()

    return types.void(array, types.int64, types.float64), generate


def compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """Return a loop of a generated file as machine code, from the cache where it is there."""
    kept = Path(loop.__code__.co_filename).is_file()
    jit: Callable[..., None] = numba.njit(_SIGNATURE, error_model="numpy", cache=kept)(loop)
    return jit


@lru_cache(maxsize=64)
def compile_source(source: str) -> Callable[..., None]:
    """Return the function `loop` of a source text, compiled."""
    folder = kept_folder()
    if folder is None:
        names: dict[str, Any] = {}
        exec(compile(source, "<kernel>", "exec"), names)
        return names["loop"]  # type: ignore[no-any-return]
    name = "k_" + sha256(f"{numba.__version__}\n{source}".encode()).hexdigest()
    path = folder / f"{name}.py"
    with _locked(folder / f"{name}.lock"):
        if not path.exists():
            temporary = path.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text(source, encoding="utf-8", newline="\n")
            temporary.replace(path)
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"kernel {name} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # numba finds the globals of cached code by the module's name
        spec.loader.exec_module(module)
    return module.loop  # type: ignore[no-any-return]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes while the block runs, where the system has such locks."""
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError:
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
