"""The server's loop: plain functions over arrays, compiled under a second name.

A step decodes every running request whose prompt is in the cache, then spends what is left of its token budget on
prompts, first come first served. A request that finds no block sends the youngest running one away: its cache goes to
the first tier with room, or is dropped and computed again. One that was sent away comes back before new ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from simulator.engine.jit import linked

__all__ = ["COUNTERS", "Server", "run_server"]

# Totals by place.
STEPS, BUSY_S, PREFILL, DECODE, AGAIN, PREEMPTIONS, OUT, IN, PEAK, RUNNING_STEPS, END_S, TRANSFER_S = range(12)
COUNTERS = (
    "steps", "busy_s", "prefill_tokens", "decode_tokens", "again_tokens", "preemptions", "out_bytes", "in_bytes",
    "peak_blocks", "request_steps", "end_s", "transfer_s",
)  # fmt: skip

# Places of the policy, of the pointers, of the numbers of a step, and of the columns of tiers.
BUDGET, MOST, BLOCKS, BLOCK = range(4)
FREE, ALIVE, RETURNED, HEAD, FINISHED, SENT = range(6)
OVERHEAD, WEIGHTS, TOKEN, REDUCE, KEY, PAIR, ROUTED, ROUTED_SHARE, WINDOW, WINDOWED, BLOCK_BYTES = range(11)
CAPACITY, WRITE, READ, HELD = range(4)
ARRIVING = -1  # where a cache is that comes back during this step


class Server(NamedTuple):
    """Every array of a run. By request: arrival in seconds, prompt and generated tokens; tokens in the cache, tokens
    to prefill, tokens done, blocks held, tier + 1, tokens of this step's prompt chunk; first token and end in seconds.
    Then the running, oldest first; those sent away, the next to return last; numbers of a step, policy, tiers,
    pointers and totals, each by the places above; a step table, empty where the numbers of a step say it all.
    """

    arrived: Any
    prompt: Any
    generated: Any
    context: Any
    need: Any
    done: Any
    held: Any
    where: Any
    chunk: Any
    first: Any
    end: Any
    running: Any
    back: Any
    step: Any
    policy: Any
    tiers: Any
    at: Any
    totals: Any
    tokens: Any
    keys: Any
    decode: Any
    prefill: Any


@linked
def _send_away(s: Server) -> float:
    """Take the youngest running request off; return the seconds of its transfer."""
    s.at[ALIVE] -= 1
    s.at[SENT] += 1
    r = s.running[s.at[ALIVE]]
    s.totals[PREEMPTIONS] += 1
    moved = s.held[r] * s.step[BLOCK_BYTES]
    s.at[FREE] += s.held[r]
    s.held[r] = 0
    s.back[s.at[RETURNED]] = r
    s.at[RETURNED] += 1
    if s.context[r] >= s.need[r]:
        for tier in range(len(s.tiers)):
            if s.tiers[tier, HELD] + moved <= s.tiers[tier, CAPACITY]:
                s.tiers[tier, HELD] += moved
                s.where[r] = tier + 1
                s.totals[OUT] += moved
                return float(moved / s.tiers[tier, WRITE])
    s.totals[AGAIN] += s.context[r]
    s.context[r] = 0
    return 0.0


@linked
def _make_room(s: Server) -> float:
    """Give every decode a block for its next token, the oldest first; return the seconds of transfers out."""
    seconds = 0.0
    place = 0
    while place < s.at[ALIVE]:
        r = s.running[place]
        place += 1
        if s.context[r] < s.need[r]:
            continue
        lacking = -(-(s.context[r] + 1) // s.policy[BLOCK]) - s.held[r]
        while lacking > s.at[FREE] and s.at[ALIVE] >= place:
            seconds += _send_away(s)
        if s.at[ALIVE] >= place:
            s.at[FREE] -= lacking
            s.held[r] += lacking
    return seconds


@linked
def _decode_keys(s: Server) -> tuple[int, float]:
    """Return the requests that decode, and the keys that they read, windows counted by their share of layers."""
    tokens, keys = 0, 0.0
    for place in range(s.at[ALIVE]):
        r = s.running[place]
        if s.context[r] >= s.need[r]:
            tokens += 1
            reach = s.context[r] + 1.0
            keys += reach + (min(reach, s.step[WINDOW]) - reach) * s.step[WINDOWED]
    return tokens, keys


@linked
def _take_chunk(s: Server, r: int, left: int) -> float:
    """Put as much of a prompt as fits into the step; return its (query, key) pairs."""
    chunk = min(left, s.need[r] - s.context[r])
    s.chunk[r] = chunk
    full = chunk * float(s.context[r]) + chunk * (chunk + 1.0) / 2
    return float(full + (min(full, chunk * s.step[WINDOW]) - full) * s.step[WINDOWED])


@linked
def _go_on(s: Server, left: int) -> tuple[int, float]:
    """Go on with the prompts of running requests; return the tokens left and their pairs."""
    pairs = 0.0
    for place in range(s.at[ALIVE]):
        r = s.running[place]
        if s.context[r] < s.need[r] and left > 0:
            pairs += _take_chunk(s, r, left)
            left -= s.chunk[r]
    return left, pairs


@linked
def _admit(s: Server, left: int, now: float) -> tuple[int, float, float]:
    """Admit requests while there is room; return the tokens left, their pairs, and the seconds of transfers in."""
    pairs, seconds = 0.0, 0.0
    while s.at[ALIVE] < s.policy[MOST] and left > 0:
        again = s.at[RETURNED] > 0
        if not again and (s.at[HEAD] >= len(s.arrived) or s.arrived[s.at[HEAD]] > now):
            break
        r = s.back[s.at[RETURNED] - 1] if again else s.at[HEAD]
        stored = s.where[r] > 0
        wanted = -(-(s.context[r] if stored else s.prompt[r] + s.done[r]) // s.policy[BLOCK])
        if wanted > s.at[FREE]:
            break
        s.at[FREE] -= wanted
        s.held[r] = wanted
        if again:
            s.at[RETURNED] -= 1
        else:
            s.at[HEAD] += 1
        s.running[s.at[ALIVE]] = r
        s.at[ALIVE] += 1
        if stored:
            moved = wanted * s.step[BLOCK_BYTES]
            tier = s.where[r] - 1
            s.tiers[tier, HELD] -= moved
            s.totals[IN] += moved
            seconds += moved / s.tiers[tier, READ]
            s.where[r] = ARRIVING
        else:
            s.need[r] = s.prompt[r] + s.done[r]
            pairs += _take_chunk(s, r, left)
            left -= s.chunk[r]
    return left, pairs, seconds


@linked
def _step_seconds(step: Any, tokens: int, keys: float, pairs: float) -> float:
    """Return what `StepTime.seconds` does."""
    if tokens == 0:
        return 0.0
    weights = step[WEIGHTS] + step[ROUTED] * (1 - (1 - step[ROUTED_SHARE]) ** tokens)
    linear = (weights**4.0 + (tokens * step[TOKEN]) ** 4.0) ** 0.25
    return float(step[OVERHEAD] + linear + tokens * step[REDUCE] + keys * step[KEY] + pairs * step[PAIR])


@linked
def _end_step(s: Server, now: float) -> None:
    """Book what the step has done: chunks of prompts, tokens, requests that are through."""
    kept = 0
    for place in range(s.at[ALIVE]):
        r = s.running[place]
        emits = False
        if s.chunk[r] > 0:
            s.context[r] += s.chunk[r]
            s.totals[PREFILL] += s.chunk[r]
            s.chunk[r] = 0
            emits = s.context[r] >= s.need[r]
        elif s.where[r] == ARRIVING:
            s.where[r] = 0
        elif s.context[r] >= s.need[r]:
            s.context[r] += 1
            s.totals[DECODE] += 1
            emits = True
        if emits:
            if s.done[r] == 0:
                s.first[r] = now
            s.done[r] += 1
        if s.done[r] >= s.generated[r]:
            s.end[r] = now
            s.at[FREE] += s.held[r]
            s.held[r] = 0
            s.at[FINISHED] += 1
        else:
            s.running[kept] = r
            kept += 1
    s.at[ALIVE] = kept


@linked
def _place(points: Any, value: float) -> tuple[int, float]:
    """Return the interval of a value, the last beyond, and how far along it is."""
    low, high = 0, len(points) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if points[middle] <= value:
            low = middle
        else:
            high = middle
    return low, (value - points[low]) / (points[low + 1] - points[low])


@linked
def _table_seconds(s: Server, tokens: int, keys: float, pairs: float) -> float:
    """Return what `StepTable.seconds` does."""
    if tokens == 0:
        return 0.0
    i, x = _place(s.tokens, tokens)
    j, y = _place(s.keys, keys)
    _, none = _place(s.keys[:2], 0.0)
    seconds = 0.0
    for k in range(2):
        row = s.decode[i + k]
        extra = s.prefill[i + k] - row[0] - (row[1] - row[0]) * none
        at = row[j] + (row[j + 1] - row[j]) * y + extra * pairs / (tokens * (tokens + 1.0) / 2)
        seconds += at * (x if k else 1 - x)
    return float(seconds)


def run_server(s: Server) -> None:
    """Serve all requests: fill `first`, `end` and `totals`."""
    now = 0.0
    while s.at[FINISHED] < len(s.arrived):
        s.at[SENT] = 0
        transfers = _make_room(s)
        tokens, keys = _decode_keys(s)
        left, pairs = _go_on(s, s.policy[BUDGET] - tokens)
        before = s.at[ALIVE]
        if s.at[SENT] == 0:
            left, more, incoming = _admit(s, left, now)
            pairs += more
            transfers += incoming
        tokens = s.policy[BUDGET] - left
        if tokens == 0 and s.at[ALIVE] == before and s.at[SENT] == 0:
            now = max(now, s.arrived[s.at[HEAD]])
            continue
        tabled = len(s.tokens) > 0
        worked = _table_seconds(s, tokens, keys, pairs) if tabled else _step_seconds(s.step, tokens, keys, pairs)
        seconds = max(worked, transfers)
        now += seconds
        s.totals[STEPS] += 1
        s.totals[BUSY_S] += seconds
        s.totals[TRANSFER_S] += transfers
        s.totals[RUNNING_STEPS] += s.at[ALIVE]
        s.totals[PEAK] = max(s.totals[PEAK], s.policy[BLOCKS] - s.at[FREE])
        _end_step(s, now)
    s.totals[END_S] = now
