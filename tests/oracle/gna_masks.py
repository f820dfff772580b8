"""Generalized neighborhood attention by brute force: every token, every pair, every tile, in plain loops."""

from itertools import product


def allowed_keys(extent, window, stride, dilation, causal, query):
    """The keys of one query along one dimension, as a set of coordinates of the map."""
    mine = [x for x in range(extent) if x % dilation == query % dilation]
    place = mine.index(query)
    members = [p for p in range(len(mine)) if p // stride == place // stride]
    if causal:
        # The last token of the stride group leads; its window ends with it, and no query sees past itself.
        leader = members[-1]
        return {mine[p] for p in range(len(mine)) if leader - window < p <= place}
    leader = members[stride // 2] if stride // 2 < len(members) else members[-1]
    left, right = window // 2, window - 1 - window // 2
    low, high = leader - left, leader + right
    while low < 0:
        low, high = low + 1, high + 1
    while high > len(mine) - 1:
        low, high = low - 1, high - 1
    return {mine[p] for p in range(low, high + 1)}


def rows_of(extents, window, stride, dilation, causal):
    """The set of allowed keys of each query of a map, both as coordinates."""
    along = [
        {x: allowed_keys(e, w, s, d, c, x) for x in range(e)}
        for e, w, s, d, c in zip(extents, window, stride, dilation, causal, strict=True)
    ]
    return {
        query: set(product(*(table[x] for table, x in zip(along, query, strict=True))))
        for query in product(*map(range, extents))
    }


def _tile(token, dilation, tile):
    """The dilation group of a token, and the tile of that group that it lies in."""
    group = tuple(x % d for x, d in zip(token, dilation, strict=True))
    return group, tuple(x // d // t for x, d, t in zip(token, dilation, tile, strict=True))


def count(extents, window, stride, dilation, causal, q_tile, kv_tile):
    """The counts as sets of tiles, from the mask alone."""
    rows = rows_of(extents, window, stride, dilation, causal)
    queries = {}
    for query in rows:
        queries.setdefault(_tile(query, dilation, q_tile), []).append(query)
    keys = {}
    for key in rows:
        keys.setdefault(_tile(key, dilation, kv_tile), []).append(key)
    slots = 1
    for width in kv_tile:
        slots *= width
    visits, full, dynamic, sparse = {}, 0, 0, True
    by_key = dict.fromkeys(keys, 0)
    for place, members in queries.items():
        needed = set().union(*(rows[q] for q in members))
        touched = {_tile(key, dilation, kv_tile) for key in needed}
        visits[place] = len(touched)
        for one in touched:
            by_key[one] += 1
            whole = all(set(keys[one]) <= rows[q] for q in members)
            full += whole and len(keys[one]) == slots
            sparse &= whole
        boxes = 1
        for axis, (width, spacing) in enumerate(zip(kv_tile, dilation, strict=True)):
            along = [key[axis] // spacing for key in needed]
            boxes *= -(-(max(along) - min(along) + 1) // width)
        dynamic += boxes
    return {
        "allowed_pairs": sum(map(len, rows.values())),
        "q_tiles": len(queries),
        "visited_tiles": sum(visits.values()),
        "max_tiles": max(visits.values()),
        "min_tiles": min(visits.values()),
        "full_tiles": full,
        "partial_tiles": sum(visits.values()) - full,
        "dynamic_tiles": dynamic,
        "block_sparse": sparse,
        "by_key": by_key,
        "by_query": visits,
    }
