"""The time of a decode kernel whose every constant was fitted on its card: blocks stream key tiles, wave by wave.

The law is that of `decode_times`, of one shape under one setup: a wave's share of the memory and its blocks' own
latency overlap in part, and below a knee of so many times L2 the cache streams at another rate.
"""

from __future__ import annotations

from math import ceil

from simulator.targets.gpu import columns as c
from simulator.targets.gpu.columns import Out, Row
from simulator.targets.gpu.split import choose_splits

__all__ = ["time_waves"]

_OVERLAP = 4.0  # as in `decode_times`


def join_wave(count: float, each: float, own: float, rate: float, s: Row) -> float:
    """Return the seconds of a wave of `count` blocks of `each` bytes, each of which takes `own` seconds alone."""
    alone = own + (s[c.SHARE] if count > s[c.SM] else 0.0)
    joined: float = ((count * each / rate) ** _OVERLAP + alone**_OVERLAP) ** (1.0 / _OVERLAP)
    return joined


def part_keys(items: float, tiles: float, asked: float, group: float, s: Row) -> float:
    """Return in how many parts the keys of each of `items` are split: as asked, or by the kernel's rule."""
    if asked > 0:
        return min(asked, tiles)
    if group == 1 and s[c.UNSPLIT] > 0:
        return 1.0
    return min(float(choose_splits(items, tiles, s[c.SM] * s[c.RESIDENT])), tiles)


def time_waves(shape: Row, s: Row, out: Out) -> None:
    """Write the latency of a decode call into `out`: its bracket and its terms, in seconds."""
    batch, q_heads, kv_heads, q_len = shape[c.BATCH], shape[c.Q_HEADS], shape[c.KV_HEADS], shape[c.Q_LEN]
    group = q_heads // kv_heads
    items = batch * kv_heads * ceil(group * q_len / s[c.ROWS])
    tiles = float(ceil(shape[c.KV_LEN] / s[c.COLUMNS]))
    parts = part_keys(items, tiles, shape[c.SPLITS], group, s)
    cache = batch * kv_heads * shape[c.KV_LEN] * s[c.KV_ROW]
    beyond = (cache / s[c.L2_HOLDS]) ** s[c.KNEE_POWER]
    missed = beyond / (beyond + s[c.KNEE] ** s[c.KNEE_POWER])
    rate = 1.0 / ((1.0 - missed) / s[c.L2_RATE] + missed / s[c.DRAM_RATE])
    blocks, slots = items * parts, s[c.SM] * s[c.RESIDENT]
    own = ceil(tiles / parts) * (s[c.COLUMNS] * s[c.KV_ROW] / s[c.BLOCK_RATE] + s[c.TILE_S]) + s[c.BLOCK]
    full = blocks // slots
    rest = blocks - full * slots
    streamed = full * join_wave(slots, cache / blocks, own, rate, s)
    if rest > 0:
        streamed += join_wave(rest, cache / blocks, own, rate, s)
    # Heads of a group become rows of a block: a view where one of the two ranks has extent 1, else copies.
    copied = group > 1 and batch > 1 and kv_heads > 1 and s[c.COPY] > 0
    ends = batch * q_len * q_heads * s[c.Q_ROW] * (3.0 if copied else 1.0) / rate
    merge = s[c.MERGE] + s[c.MERGE_EACH] * parts if parts > 1 else 0.0
    launch = s[c.LAUNCH] + (s[c.PACK_S] if group > 1 else 0.0) + (s[c.COPY] if copied else 0.0)
    fixed = ends + merge + launch
    ideal = cache / rate
    out[c.LATENCY] = streamed + fixed
    out[c.LOW] = min(streamed, ideal) + fixed
    out[c.HIGH] = ideal + (full + 1) * (own + s[c.SHARE]) + fixed
    out[c.T_BUSY] = min(streamed, ideal)
    out[c.T_WAVE] = streamed - out[c.T_BUSY]
    out[c.T_OVERLAP] = merge
    out[c.T_EDGE] = ends
    out[c.T_LAUNCH] = launch
    out[c.MEMORY] = ideal
    out[c.PIPE] = 5.0
    out[c.USE] = min(1.0, batch * q_heads * q_len * shape[c.KV_LEN] * s[c.MMA] / s[c.SM] / s[c.CLOCK] / out[c.LATENCY])
    out[c.FITS] = 1.0 if cache <= s[c.L2_HOLDS] else 0.0
