"""A server told request by request, with lists and sets: who decodes, who is sent away, who comes back.

Shares nothing with the server's loop: blocks are counted from what each request holds at the time, not kept in step.
"""


class Req:
    def __init__(self, number, arrived, prompt, generated):
        self.number, self.arrived, self.prompt, self.generated = number, arrived, prompt, generated
        self.cached = self.target = self.out = 0
        self.tier = None
        self.first = self.end = None

    def ready(self):
        return self.cached >= self.target


def blocks(tokens, block):
    return (tokens + block - 1) // block


def walk(requests, seconds, pool, budget, most, block, tiers=(), block_bytes=1.0):
    """Return [(first, end)] by request; `seconds(tokens, keys, pairs)`; tiers are (bytes, write rate, read rate)."""
    todo = [Req(n, *r) for n, r in enumerate(requests)]
    everyone = list(todo)
    running, away = [], []
    room = {}  # request -> blocks it holds
    stored = [{} for _ in tiers]  # request -> bytes
    now = 0.0

    def free():
        return pool - sum(room.values())

    while any(r.end is None for r in everyone):
        moved_s, sent = 0.0, False
        for r in tuple(running):
            if r not in running or not r.ready():
                continue
            wanted = blocks(r.cached + 1, block)
            while r in running and wanted - room[r] > free():
                last = running.pop()
                sent = True
                size = room.pop(last) * block_bytes
                away.append(last)
                last.tier = None
                if last.ready():
                    for k, (capacity, write, _) in enumerate(tiers):
                        if sum(stored[k].values()) + size <= capacity:
                            stored[k][last] = size
                            last.tier = k
                            moved_s += size / write
                            break
                if last.tier is None:
                    last.cached = 0
            if r in running:
                room[r] = wanted
        decoding = [r for r in running if r.ready()]
        left = budget - len(decoding)
        keys = float(sum(r.cached + 1 for r in decoding))
        chunks, arriving = {}, []

        for r in running:
            if not r.ready() and left > 0:
                chunks[r] = min(left, r.target - r.cached)
                left -= chunks[r]
        while not sent and len(running) < most and left > 0:
            r = away[-1] if away else next((x for x in todo if x.arrived <= now), None)
            if r is None:
                break
            held = blocks(r.cached if r.tier is not None else r.prompt + r.out, block)
            if held > free():
                break
            (away if away else todo).remove(r)
            running.append(r)
            room[r] = held
            if r.tier is not None:
                moved_s += stored[r.tier].pop(r) / tiers[r.tier][2]
                r.tier = None
                arriving.append(r)
            else:
                r.target, r.cached = r.prompt + r.out, 0
                chunks[r] = min(left, r.target)
                left -= chunks[r]
        tokens = len(decoding) + sum(chunks.values())
        pairs = float(sum(r.cached + k + 1 for r, chunk in chunks.items() for k in range(chunk)))
        if not tokens and not arriving and not sent:
            now = max(now, todo[0].arrived)
            continue
        now += max(seconds(tokens, keys, pairs), moved_s)
        for r in list(running):
            gives = False
            if r in chunks:
                r.cached += chunks[r]
                gives = r.ready()
            elif r in decoding:
                r.cached += 1
                gives = True
            if gives:
                r.out += 1
                r.first = now if r.first is None else r.first
            if r.out >= r.generated:
                r.end = now
                running.remove(r)
                del room[r]
    return [(r.first, r.end) for r in everyone]
