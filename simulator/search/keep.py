"""The state of a search as bytes, so that one that was killed goes on where it was.

The bytes are a pickle that holds values of this package alone; reading refuses anything else, so that a file of unknown
origin runs no code of its own.
"""

from __future__ import annotations

import io
import pickle
from importlib import import_module
from typing import Any

from einsum_cascades.diagnostics import SpecError

__all__ = ["freeze", "thaw"]

_PACKAGES = ("arch_specs.", "einsum_cascades.", "simulator.")
_PLAIN = {
    ("builtins", "frozenset"),
    ("builtins", "set"),
    ("collections", "Counter"),
    ("fractions", "Fraction"),
}


def freeze(value: Any) -> bytes:
    """Return a value of the search as bytes."""
    return pickle.dumps(value, protocol=5)


def thaw(data: bytes) -> Any:
    """Return the value that bytes hold; SpecError where they are not what `freeze` gives.

    >>> thaw(freeze({"steps": 3}))
    {'steps': 3}
    """
    try:
        return _Reader(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, TypeError) as error:
        raise SpecError("the state of the search cannot be read: remove it, and start again") from error


class _Reader(pickle.Unpickler):
    """Reads classes of this package, and a few plain ones."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class that a state may hold; UnpicklingError for anything else."""
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        if module.startswith(_PACKAGES):
            found = getattr(import_module(module), name)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a search")
