"""One design as a compiled function of its numbers: for who evaluates the same structure again and again.

The terms are those of a sweep; a call costs tens of microseconds, where laying a design out anew costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from arch_specs.model import Architecture
from einsum_cascades.diagnostics import Problem, SpecError, suggest
from simulator.accounting import Accounting, find_accounting
from simulator.design import Design
from simulator.kernels.model import CostTerms, describe
from simulator.kernels.run import Column, TermKernel

__all__ = ["CompiledDesign", "compile_design"]


class CompiledDesign:
    """A design whose numbers called `varied` may change from call to call; everything else stays."""

    def __init__(self, design: Design, terms: CostTerms, varied: tuple[str, ...]) -> None:
        self.design = design
        self.terms = terms
        self.varied = varied
        self.kernel = TermKernel({"reason": terms.reason, **terms.outputs}, terms.names)
        derived = {d.name: d for d in terms.derived}
        values = {name: np.full(1, self._value(name, derived)) for name in self.kernel.parameters}
        self._run, self._strips, self._fixed, self._given, self._out = self.kernel.bind(values, 1)
        self._place = {name: place for place, name in enumerate(self.kernel.parameters)}
        self._derived = tuple(d for d in terms.derived if d.name in self._place)
        self._strip = self._given.size // max(1, len(self._place))
        self._path = {name: self._parameter(name) for name in varied}
        self._decisive = tuple(n for n in varied if any(d.depends_on(self._path[n]) for d in self._derived))
        self._found: dict[tuple[float, ...], dict[str, float]] = {}

    def figures(self, values: Mapping[str, float]) -> dict[str, float | str | bool]:
        """Return latency, ceiling, energy, traffic, area and utilization with some numbers changed.

        `values` gives every number that may change, in SI. `feasible` says whether it works; where it does not, `why`
        says what fails, and there are no figures. Raises SpecError where a number is missing or was not named.
        """
        if values.keys() != set(self.varied):
            names = ", ".join(self.varied)
            raise SpecError(Problem(f"the design varies in {names}", hint="give each of them, no other"))
        given = self._given
        for name, value in values.items():
            place = self._place.get(self._path[name])
            if place is not None:
                given[place * self._strip] = value
        for name, value in self._look_up(values).items():
            given[self._place[name] * self._strip] = value
        self._run(self._strips, self._fixed, given, self._out)
        found = dict(zip(self.kernel.outputs, self._out[:: self._strip].tolist(), strict=True))
        code = int(found.pop("reason"))
        if code:
            return {"feasible": False, "why": self._why(code, given)}
        bound_by = self.terms.bound_names[int(found.pop("bound_by"))]
        return {"feasible": True, "why": "", **found, "bound_by": bound_by}

    def _parameter(self, name: str) -> str:
        known = self.design.workload.cascade.extents
        own = name.startswith("mapping.") or name in {e.name for e in known}
        return name if own else self.design.architecture.path(name)

    def _value(self, name: str, derived: Mapping[str, Any]) -> float:
        if name in derived:
            return float(derived[name].compute(self.design.architecture))
        if name.startswith("mapping."):
            return float(self.design.knobs[name.removeprefix("mapping.")])
        extents = self.design.workload.extents
        return float(extents[name] if name in extents else self.design.architecture.value(name))

    def _look_up(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the parameters that are looked up for a machine; each machine once."""
        if not self._decisive:
            return {}
        key = tuple(values[name] for name in self._decisive)
        if key not in self._found:
            machine: Architecture = self.design.architecture
            for name, value in zip(self._decisive, key, strict=True):
                machine = machine.replace(name, value)
            self._found[key] = {d.name: d.compute(machine) for d in self._derived}
        return self._found[key]

    def _why(self, code: int, given: Column) -> str:
        check = self.terms.checks[code - 1]
        kernel = TermKernel({f"number {n}": term for n, term in enumerate(check.numbers)})
        columns = {name: float(given[self._place[name] * self._strip]) for name in kernel.parameters}
        numbers = [round(float(column[0])) for column in kernel.arrays(columns, 1).values()] if check.numbers else []
        return check.text(*numbers)


_OWN = ("clock", "clock_hz", "node", "node_m")  # numbers of a machine that belong to no part


def compile_design(design: Design, varied: Sequence[str], accounting: str | Accounting = "clean") -> CompiledDesign:
    """Return a design as a compiled function of the numbers called `varied`: extents, the machine's, and tile knobs.

    Raises SpecError for a name that the design does not have.

    >>> import attnsim
    >>> made = compile_design(attnsim.design("attention_1pass", "fusemax", workload="bert", M=4096), ["M", "pe1d.rows"])
    >>> longer = made.figures({"M": 8192, "pe1d.rows": 256})
    >>> longer["bound_by"], round(longer["latency_s"] / made.figures({"M": 4096, "pe1d.rows": 256})["latency_s"], 2)
    ('pe1d', 3.94)
    """
    charged = find_accounting(accounting) if isinstance(accounting, str) else accounting
    tiles = [f"mapping.{name}" for name in design.knobs]
    extents = list(design.workload.extents)
    for name in varied:
        if name not in (*tiles, *extents):
            if "." not in name and name not in _OWN:
                raise SpecError(Problem(f"'{name}' is no number of the design", hint=suggest(name, [*tiles, *extents])))
            design.architecture.path(name)
    terms = describe(design, charged)
    return CompiledDesign(design, terms, tuple(varied))
