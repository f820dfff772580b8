"""The language and its analysis load no heavy library: `attnsim passes` must answer at once."""

import subprocess
import sys

HEAVY = ("numpy", "sympy", "networkx", "pandas", "numba", "matplotlib")


def test_analysis_imports_nothing_heavy() -> None:
    code = (
        f"import sys, einsum_cascades.analysis, einsum_cascades.parser; print([m for m in {HEAVY} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
