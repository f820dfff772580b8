"""The time of a decode kernel: key tiles streamed by blocks that split the cache, in waves over the SMs, then merged.

A run of n equal blocks of `per` key tiles takes full waves and a rest; a wave moves its bytes at the rate of DRAM (or
L2 while the cache stays there), but no block is faster than its own stream of loads and products.
"""

from __future__ import annotations

from math import ceil

from simulator.targets.gpu import columns as c
from simulator.targets.gpu.columns import Out, Row

__all__ = ["choose_splits", "time_split"]

_MOST_SPLITS = 128


def choose_splits(items: float, tiles: float, slots: float) -> int:
    """Return in how many parts the open kernels split the keys of `items` blocks of work.

    None where the items nearly fill the slots; else the fewest parts whose last wave is at least 85 % as full as the
    best. Source: the heuristic of Dao-AILab/flash-attention (BSD-3-Clause), flash_api.

    >>> choose_splits(8, 64, 216)
    22
    """
    if items >= 0.8 * slots:
        return 1
    most = int(min(_MOST_SPLITS, slots, tiles))
    best = 0.0
    for parts in range(1, most + 1):
        if parts == 1 or ceil(tiles / parts) != ceil(tiles / (parts - 1)):
            waves = items * parts / slots
            best = max(best, waves / ceil(waves))
    for parts in range(1, most + 1):
        if parts == 1 or ceil(tiles / parts) != ceil(tiles / (parts - 1)):
            waves = items * parts / slots
            if waves / ceil(waves) >= 0.85 * best:
                return parts
    return 1


def run_wave(blocks: float, per: float, s: Row, rate: float) -> float:
    """Return the seconds of equal blocks of `per` key tiles: full waves, and the rest in one more."""
    slots = s[c.SM] * s[c.RESIDENT]
    full = blocks // slots
    rest = blocks - full * slots
    moved = s[c.KV_ROW] * s[c.COLUMNS]
    alone = s[c.STREAM]
    busy = s[c.MMA] / s[c.CLOCK]
    whole = per * max(slots * moved / rate, alone, s[c.RESIDENT] * busy)
    last = per * max(rest * moved / rate, alone, ceil(rest / s[c.SM]) * busy)
    return full * whole + (last if rest > 0 else 0.0)


def time_split(shape: Row, s: Row, out: Out) -> None:
    """Write the latency of a decode call into `out`: its bracket and its terms, in seconds."""
    q_len, kv_len, window = shape[c.Q_LEN], shape[c.KV_LEN], shape[c.WINDOW]
    group = shape[c.Q_HEADS] // shape[c.KV_HEADS]
    if window > 0:
        kv_len = min(kv_len, window + q_len - 1)
    readers = ceil(group * q_len / s[c.ROWS])
    items = shape[c.BATCH] * shape[c.KV_HEADS] * readers
    tiles = ceil(kv_len / s[c.COLUMNS])
    slots = s[c.SM] * s[c.RESIDENT]
    rule = 0.0 if group == 1 and s[c.UNSPLIT] > 0 else s[c.SPLIT_RULE]
    parts = 1.0
    if shape[c.SPLITS] > 0:
        parts = min(shape[c.SPLITS], tiles)
    elif rule == 1:
        parts = float(choose_splits(items, tiles, slots))
    elif rule == 2:
        parts = float(min(max(1, slots // items), tiles, _MOST_SPLITS))
    unique = shape[c.BATCH] * shape[c.KV_HEADS] * kv_len * s[c.KV_ROW]
    moved = unique * readers + shape[c.BATCH] * q_len * shape[c.Q_HEADS] * s[c.Q_ROW]
    fits = unique <= s[c.L2_HOLDS]
    rate = s[c.L2_RATE] if fits else s[c.DRAM_RATE] * readers
    if rule == 3:
        dealt = ceil(items * tiles / slots)
        streamed = run_wave(min(slots, ceil(items * tiles / dealt)), dealt, s, rate)
        merge = s[c.MERGE_EACH] * min(slots, ceil(tiles / dealt) + 1) if dealt < tiles else 0.0
    else:
        streamed = run_wave(items * parts, ceil(tiles / parts), s, rate)
        merge = s[c.MERGE] + s[c.MERGE_EACH] * parts if parts > 1 else 0.0
    ideal = moved / rate
    edge = shape[c.BATCH] * q_len * (shape[c.Q_HEADS] * s[c.Q_EDGE] + shape[c.KV_HEADS] * s[c.KV_EDGE]) / s[c.DRAM_RATE]
    launch = s[c.LAUNCH]
    fixed = edge + launch + merge
    products = items * tiles * s[c.MMA] / s[c.CLOCK] / s[c.SM]
    out[c.LATENCY] = streamed + fixed
    out[c.LOW] = max(min(ideal, streamed), min(products, streamed)) + fixed
    out[c.HIGH] = streamed + products + ideal + fixed
    busy = min(streamed, max(ideal, products))
    out[c.T_BUSY] = busy
    out[c.T_WAVE] = streamed - busy
    out[c.T_OVERLAP] = merge
    out[c.T_EDGE] = edge
    out[c.T_LAUNCH] = launch
    out[c.MEMORY] = ideal
    out[c.PIPE] = 5.0 if ideal >= products else 0.0
    out[c.USE] = products / out[c.LATENCY]
    out[c.FITS] = 1.0 if fits else 0.0
