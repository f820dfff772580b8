"""What is charged: named switches, and the four accountings that studies print side by side."""

from __future__ import annotations

from dataclasses import dataclass

from einsum_cascades.diagnostics import SpecError, suggest

__all__ = ["ACCOUNTINGS", "Accounting", "find_accounting"]


@dataclass(frozen=True, slots=True)
class Accounting:
    """How words and operations become energy and time; each switch is one quirk of the published evaluation.

    `counter_wrap`: first writes are counted modulo 2**64, as the reference tool does, so that large outputs seem to be
    read back. `registers_once`: one register file is charged for each array, not one for each lane at work.
    `uncharged`: operations that a mapping lists as uncharged cost nothing. `lost_ranks`: ranks that a mapping lists as
    lost are left out when words are counted. `ports`: a memory with `accesses_per_cycle` serves no more than that.
    """

    name: str
    counter_wrap: bool = False
    registers_once: bool = True
    uncharged: bool = True
    lost_ranks: bool = True
    ports: bool = False


ACCOUNTINGS = {
    accounting.name: accounting
    for accounting in (
        Accounting("published", counter_wrap=True),
        Accounting("clean"),
        Accounting("all_registers", registers_once=False),
        Accounting("ports", ports=True),
    )
}


def find_accounting(name: str) -> Accounting:
    """Return the accounting called `name`; SpecError with a suggestion when there is none.

    >>> find_accounting("clean").counter_wrap
    False
    """
    if name not in ACCOUNTINGS:
        hint = suggest(name, ACCOUNTINGS) or f"accountings are {', '.join(ACCOUNTINGS)}"
        raise SpecError(f"unknown accounting '{name}'; {hint}")
    return ACCOUNTINGS[name]
