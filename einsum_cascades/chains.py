"""Chains in small relations, given as the set of successors of each element: paths, cycles, heights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from einsum_cascades.polynomial import Polynomial

__all__ = ["fits_in", "heaviest_path", "heights", "magnitude", "mutual_parts", "walk_chains"]


def magnitude(passes: Polynomial) -> float:
    """Order pass counts: a symbolic number of generations is more than any number of passes within one."""
    return float(passes.evaluate(dict.fromkeys(passes.names, 10**6)))


def walk_chains(first: int, edges: Sequence[set[int]]) -> Iterator[list[int]]:
    """Yield every chain that starts at `first`, without repetition."""
    open_ = [[first]]
    while open_:
        chain = open_.pop()
        yield chain
        open_ += [[*chain, j] for j in sorted(edges[chain[-1]]) if j not in chain]


def mutual_parts(edges: Sequence[set[int]]) -> list[list[int]]:
    """Return the strongly connected parts of a transitive-enough relation, by mutual reachability."""
    reach = [set(e) for e in edges]
    for k in range(len(reach)):
        for i in range(len(reach)):
            if k in reach[i]:
                reach[i] |= reach[k]
    parts: list[list[int]] = []
    for i in range(len(edges)):
        home = next((p for p in parts if p[0] in reach[i] and i in reach[p[0]]), None)
        if home is None:
            parts.append([i])
        else:
            home.append(i)
    return parts


def heaviest_path(
    parts: Sequence[Sequence[int]], edges: Sequence[set[int]], weights: Sequence[Polynomial]
) -> list[int]:
    """Return the heaviest path through parts, as their numbers; the parts are without cycles among each other."""
    home = {node: number for number, part in enumerate(parts) for node in part}
    after = [{home[j] for i in part for j in edges[i] if j in home} - {p} for p, part in enumerate(parts)]
    best: dict[int, list[int]] = {}

    def weigh(path: Sequence[int]) -> float:
        return sum(magnitude(weights[p]) for p in path)

    def from_(part: int) -> list[int]:
        if part not in best:
            best[part] = []
            tails = [from_(other) for other in sorted(after[part])]
            best[part] = [part, *max(tails, key=weigh, default=[])]
        return best[part]

    return max((from_(p) for p in range(len(parts))), key=weigh, default=[])


def heights(below: Sequence[set[int]]) -> list[int]:
    """Return 1 + the longest chain below each element; what is below itself, in a cycle, does not count."""
    level: dict[int, int] = {}

    def visit(i: int, path: frozenset[int]) -> int:
        if i not in level:
            inside = path | {i}
            found = 1 + max((visit(j, inside) for j in below[i] if j not in inside), default=0)
            if path & below[i]:
                return found
            level[i] = found
        return level[i]

    return [visit(i, frozenset()) for i in range(len(below))]


def fits_in(count: int, before: Sequence[set[int]], ways: Sequence[tuple[int, int, str]], turns: int) -> bool:
    """Say whether elements can be put into turns, each turn going one way.

    An element comes in a later turn than those `before` it. For each (i, j, way) i comes no later than j, and both in
    the same turn only if it goes that way.
    """

    def place(turn: list[int], going: dict[int, str]) -> bool:
        j = len(turn)
        if j == count:
            return True
        for t in range(turns):
            trial = [*turn, t]
            if any(trial[a] >= trial[b] for a in range(j + 1) for b in before[a] if b <= j and a != b):
                continue
            direction = dict(going)
            tied = [(a, b, way) for a, b, way in ways if max(a, b) == j]
            good = all(trial[a] <= trial[b] for a, b, _ in tied)
            for a, b, way in tied:
                if trial[a] == trial[b] and direction.setdefault(t, way) != way:
                    good = False
            if good and place(trial, direction):
                return True
        return False

    return place([], {})
