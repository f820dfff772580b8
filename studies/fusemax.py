"""How much faster is attention on FuseMax than on FLAT and on an unfused baseline, and what limits each of them?

FuseMax (MICRO 2024), sections V and VI: five configurations, four models, six sequence lengths. Expected: FuseMax keeps
both arrays busy at any length and is 6.7 times faster than FLAT on average.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from simulator import library
from simulator.evaluate import evaluate
from simulator.report import Report
from simulator.workload import Workload
from studies.fusemax_figures import draw_activity, draw_speedup, draw_utilization
from studies.study import Claim, Result, Say, Study

__all__ = ["CONFIGS", "MODELS", "SEQ_LENS", "STUDY", "attention_rows"]

# config of the paper -> cascade, architecture and mapping of the library
CONFIGS = {
    "unfused": ("attention_3pass", "flat", "unfused"),
    "flat": ("attention_3pass", "flat", "flat"),
    "cascade": ("attention_1pass", "flat", "fusemax_cascade"),
    "arch": ("attention_1pass", "fusemax", "fusemax_arch"),
    "binding": ("attention_1pass", "fusemax", "fusemax_binding"),
}
MODELS = ("BERT", "TrXL", "T5", "XLM")
SEQ_LENS = tuple(2**power for power in range(10, 21, 2))
_PAPER = "FuseMax, MICRO 2024"
_ARTIFACT = "FuseMax artifact (MIT licence), attention result tables"


def _recorded() -> dict[tuple[str, str, int], dict[str, str]]:
    """Return the knobs of the recorded dataflows by (config, model, sequence length)."""
    knobs: dict[tuple[str, str, int], dict[str, str]] = {}
    text = (Path(__file__).parent / "data" / "fusemax_recorded.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        knobs.setdefault((row["config"], row["model"], int(row["seq_len"])), {})[row["knob"]] = row["value"]
    return knobs


def _row(config: str, model: str, seq_len: int, mapper: str, report: Report) -> dict[str, Any]:
    utilization = report.utilization
    activity = {f"activity_{einsum}": share for einsum, share in report.activity("pe2d").items()}
    return {
        "config": config,
        "model": model,
        "seq_len": seq_len,
        "mapper": mapper,
        "accounting": "published",
        "traffic_bytes": report.traffic_bytes,
        "latency_s": report.latency_s,
        "energy_j": report.energy_j,
        "util_2d": utilization["pe2d"],
        "util_1d": utilization["pe1d"],
        **activity,
    }


def attention_rows(say: Say = lambda _: None) -> Iterator[dict[str, Any]]:
    """Yield a row per configuration, model, length and mapper: `recorded` dataflows, or our `own` choice of knobs."""
    recorded = _recorded()
    shapes = {model: library.load_workload(model) for model in MODELS}
    for config, (cascade_name, arch_name, mapping_name) in CONFIGS.items():
        say(f"fusemax: {config}")
        cascade, arch = library.load_cascade(cascade_name), library.load_machine(arch_name)
        template = library.load_mapping(mapping_name)
        for model in MODELS:
            for seq_len in SEQ_LENS:
                workload = Workload.of(cascade, shapes[model], M=seq_len)
                own = evaluate(library.make_design(workload, arch, template))
                knobs = recorded.get((config, model, seq_len))
                settings = {f"mapping.{knob}": value for knob, value in (knobs or {}).items()}
                noted = evaluate(library.make_design(workload, arch, template, settings)) if knobs else own
                yield _row(config, model, seq_len, "recorded", noted)
                yield _row(config, model, seq_len, "own", own)


# Latencies in seconds that the artifact publishes, for the speed-ups of the card.
_PUBLISHED_S = {
    ("unfused", "BERT", 2**14): 5.3618356085106385,
    ("flat", "BERT", 2**14): 3.4268356085106384,
    ("cascade", "BERT", 2**14): 3.8752691744680856,
    ("arch", "BERT", 2**14): 1.5327057702127658,
    ("binding", "BERT", 2**14): 0.46516616170212766,
    ("unfused", "XLM", 2**14): 7.169114144680851,
    ("flat", "XLM", 2**14): 4.569114144680851,
    ("binding", "XLM", 2**14): 1.1958228425531914,
    ("flat", "BERT", 2**18): 1013.8800000000001,
    ("binding", "BERT", 2**18): 118.2793728,
}


def _card(table: pd.DataFrame) -> tuple[Claim, ...]:
    """Return the published speed-ups beside ours."""
    recorded = table[table.mapper == "recorded"]
    latency = recorded.set_index(["config", "model", "seq_len"]).latency_s
    over_flat = latency["flat"] / latency["binding"]
    claims = [
        Claim(
            "speed-up of FuseMax (+Binding) over FLAT, attention, mean of 24 cells",
            6.7,
            float(over_flat.mean()),
            0.05 / 6.7,
            "recorded dataflows; no buffer port limit; BERT, TrXL and T5 differ in H alone: 12 distinct cells",
            f"{_PAPER}, abstract (one decimal given)",
        ),
        Claim(
            "utilization of the 1-D array, FuseMax (+Binding), mean of 24 cells",
            1.0,
            float(recorded[recorded.config == "binding"].util_1d.mean()),
            0.005,
            "steady state: fill and drain are left out",
            f"{_PAPER}, Fig. 6a",
        ),
    ]
    pairs = [
        (slow, fast, model, seq_len)
        for slow, fast in (("flat", "binding"), ("unfused", "binding"), ("flat", "arch"), ("flat", "cascade"))
        for model, seq_len in (("BERT", 2**14), ("XLM", 2**14), ("BERT", 2**18))
        if (slow, model, seq_len) in _PUBLISHED_S and (fast, model, seq_len) in _PUBLISHED_S
    ]
    for slow, fast, model, seq_len in pairs:
        published = _PUBLISHED_S[slow, model, seq_len] / _PUBLISHED_S[fast, model, seq_len]
        ours = latency[slow, model, seq_len] / latency[fast, model, seq_len]
        claims.append(
            Claim(
                f"speed-up of {fast} over {slow}, attention, {model} at {seq_len}",
                published,
                float(ours),
                1e-6,
                "recorded dataflow of the slower one, published accounting",
                _ARTIFACT,
            )
        )
    return tuple(claims)


def _analyze(say: Say) -> Result:
    table = pd.DataFrame(attention_rows(say))
    recorded = table[table.mapper == "recorded"]
    say("fusemax: figures")
    figures = {
        "fig6_utilization": draw_utilization(recorded),
        "fig7_activity": draw_activity(recorded),
        "fig8_speedup": draw_speedup(recorded),
    }
    return Result({"fusemax_attention": table}, figures, _card(table))


STUDY = Study(
    name="fusemax",
    question="How much faster is attention on FuseMax than on FLAT and unfused, and what limits each?",
    paper="Nayak et al., FuseMax, MICRO 2024",
    analyze=_analyze,
)
