"""The study of static RAMs: published ones come back, the stated errors are those of the table."""

from arch_specs.sram import leave_one_out_error
from studies.study import load_study


def test_published_rams_are_reproduced_and_errors_stated() -> None:
    result = load_study("sram").run()
    verdicts = [claim.verdict for claim in result.card]
    assert verdicts.count("reproduced") == 12
    assert "differs" not in verdicts
    stated = next(claim for claim in result.card if "read_j" in claim.claim)
    row = next(
        r
        for r in leave_one_out_error()
        if (r.node_nm, r.ports, r.banks, r.axis, r.quantity) == (45, "1rw", 1, "size", "read_j")
    )
    assert (stated.ours, stated.high) == (row.median, row.p95)
