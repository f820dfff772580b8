"""Pass counts by brute force: every element of a small cascade is unrolled, with the set of reads that it needs.

Nothing here comes from the analysis: dependences are sets of concrete coordinates. A read i comes before a read j when
each point of j needs the whole fiber of i, but for a few elements at the borders (in a tiled rank a few tiles), which
exclusive scans and first generations skip.
A predicate against a variable that never walks the fiber masks the fiber itself, and is left out. So is a condition on
values, but for the tensors that it reads. A coordinate that is looked up may be any: every one is tried.
"""

from __future__ import annotations

from itertools import product

from einsum_cascades.ir import Access, Affine, Cascade, Einsum, rank_of

BORDER = 3


class Unrolled:
    def __init__(self, cascade: Cascade, extents: dict[str, int], border: int = BORDER) -> None:
        self.cascade, self.extents, self.border = cascade, extents, border
        # What is looked up in an Einsum: a stand-in variable for each index, with the extent of the rank there.
        self.any: dict[int, str] = {}
        self.tries: dict[str, dict[str, int]] = {}
        for einsum in cascade.einsums:
            for access in einsum.accesses:
                for position, index in enumerate(access.indices):
                    if index.lookups:
                        name = self.any.setdefault(id(index), f"?{len(self.any)}")
                        self.tries.setdefault(einsum.name, {})[name] = self.shape(access.tensor)[position]

    def place(self, index: Affine, at: dict[str, int]) -> int:
        if id(index) in self.any:
            return at[self.any[id(index)]]
        total = 0
        for term in index.terms:
            part = term.coefficient
            for extent in term.extents:
                part *= self.extents[extent]
            total += part * (1 if term.variable is None else at[term.variable])
        return total

    def points(self, einsum: Einsum, keep: set[str]) -> list[dict[str, int]]:
        """All points of an Einsum, under the predicates that tie it to variables in `keep` alone."""
        tries = self.tries.get(einsum.name, {})
        names = (*einsum.variables, *tries)
        found = []
        for values in product(*(range(tries[v] if v in tries else self.extents[rank_of(v)]) for v in names)):
            at = dict(zip(names, values, strict=True))
            if all(
                compare(self.place(p.left, at), p.relation, self.place(p.right, at))
                for p in einsum.predicates
                if {*p.left.variables, *p.right.variables} & set(einsum.output.variables) <= keep
            ):
                found.append(at)
        return found

    def shape(self, tensor: str) -> list[int]:
        shape = [self.extents[r] for r in self.cascade.tensor(tensor).ranks]
        for position in self.cascade.generations.get(tensor, ()):
            shape[position] += 1
        return shape

    def coordinates(self, access: Access, at: dict[str, int]) -> tuple[int, ...] | None:
        where = tuple(self.place(i, at) for i in access.indices)
        return where if all(0 <= x < n for x, n in zip(where, self.shape(access.tensor), strict=True)) else None


def compare(left: int, relation: str, right: int) -> bool:
    return {
        "<": left < right,
        "<=": left <= right,
        "==": left == right,
        "!=": left != right,
        ">=": left >= right,
        ">": left > right,
    }[relation]


def images(u: Unrolled, target: str, group: tuple[int, ...]) -> list[tuple[str, dict[tuple[int, ...], tuple]]]:
    """The target and what is made of it element by element along the group.

    An image maps coordinates of its tensor to those of the target, None where an element stands for many.
    """
    ranks = range(len(u.shape(target)))
    found = [(target, {c: c for c in product(*map(range, u.shape(target)))})]
    seen = {(target, walked(u, target, group, found[0][1]))}
    for name, where in found:
        for einsum in u.cascade.extended:
            for access in einsum.accesses:
                if access.tensor != name:
                    continue
                made: dict[tuple[int, ...], list[tuple]] = {}
                for at in u.points(einsum, set()):
                    source, out = u.coordinates(access, at), u.coordinates(einsum.output, at)
                    if source is not None and out is not None and source in where:
                        made.setdefault(out, []).append(where[source])
                if not made:
                    continue
                # Along each rank an element must stand for one coordinate, or the rank is lost everywhere.
                lost = {q for q in ranks if any(len({y[q] for y in ys}) > 1 for ys in made.values())}
                lost |= {q for q in ranks if any(y[q] is None for ys in made.values() for y in ys)}
                if lost & set(group):
                    continue
                if any(len({ys[0][q] for ys in made.values()}) < 2 for q in group):
                    continue
                image = {o: tuple(None if q in lost else ys[0][q] for q in ranks) for o, ys in made.items()}
                walk = walked(u, einsum.name, group, image)
                if einsum.name in u.cascade.generations or (einsum.name, walk) in seen:
                    continue
                seen.add((einsum.name, walk))
                found.append((einsum.name, image))
    return found


def walked(u: Unrolled, tensor: str, group: tuple[int, ...], image: dict) -> tuple[tuple[int, ...], ...]:
    """For each coordinate of the group, the positions of the tensor along which it moves."""
    walk = []
    for q in group:
        moves = set()
        for c, y in image.items():
            for p in range(len(c)):
                other = (*c[:p], c[p] + 1, *c[p + 1 :])
                if other in image and image[other][q] != y[q]:
                    moves.add(p)
        walk.append(tuple(sorted(moves)))
    return tuple(walk)


def count(u: Unrolled, target: str, group: tuple[int, ...], *, lineage: bool) -> int | None:
    """The longest chain of reads of the target (and its images) along the group; None when reads need each other."""
    every = [
        (einsum, access, image)
        for name, image in images(u, target, group)
        for einsum in u.cascade.extended
        for access in dict.fromkeys(a for a in einsum.accesses if a.tensor == name)
    ]
    stream = {
        v
        for _, access, image in every
        for p in {p for ps in walked(u, access.tensor, group, image) for p in ps}
        for v in access.indices[p].variables
        if not access.indices[p].lookups
    }
    reads = every if lineage else [r for r in every if r[1].tensor == target]
    events = [{} for _ in reads]  # read -> point -> target coordinates
    for events_of, (einsum, access, image) in zip(events, reads, strict=True):
        for at in u.points(einsum, stream):
            source = u.coordinates(access, at)
            if source is not None and source in image:
                events_of[tuple(at.items())] = image[source]
    moving = [r for r in range(len(reads)) if all(len({y[q] for y in events[r].values()}) > 1 for q in group)]
    after = {i: {j for j in moving if j != i and precedes(u, reads, events, i, j, group, stream)} for i in moving}
    return longest(after)


def precedes(u, reads, events, i, j, group, stream) -> bool:
    needed = dependences(u, reads[i][0], events[i], stream)
    einsum = reads[j][0]
    violations, total = {}, {}
    whole = {}
    for y in set(events[i].values()):
        whole.setdefault(tuple(None if q in group else y[q] for q in range(len(y))), set()).add(y)
    for at, y in events[j].items():
        point = dict(at)
        have = set()
        for access in einsum.accesses:
            source = u.coordinates(access, point)
            if source is not None:
                have |= needed(access.tensor, source)
        fiber = tuple(None if q in group else y[q] for q in range(len(y)))
        fit = [f for f in whole if all(a is None or b is None or a == b for a, b in zip(f, fiber, strict=True))]
        missing = max((len(whole[f] - have) for f in fit), default=u.border + 1)
        total.setdefault(fiber, set()).add(y)
        if missing > u.border:
            violations.setdefault(fiber, set()).add(y)
    spared = BORDER - 1 if len(total) > 2 * BORDER else 0  # whole fibers of a first or last generation
    return bool(total) and sum(len(violations.get(f, ())) > u.border for f in total) <= spared


def dependences(u: Unrolled, origin: Einsum, events: dict, stream: set[str]):
    """A function from an element to the events of `origin` that it needs, each event being a target coordinate."""
    known: dict[tuple, frozenset] = {}
    made: dict[str, dict[tuple[int, ...], list]] = {}
    for einsum in u.cascade.einsums:
        for at in u.points(einsum, stream):
            out = u.coordinates(einsum.output, at)
            if out is not None:
                made.setdefault(einsum.name, {}).setdefault(out, []).append((einsum, at))

    def needed(tensor: str, where: tuple[int, ...]) -> frozenset:
        key = (tensor, where)
        if key not in known:
            known[key] = frozenset()
            have = set()
            for einsum, at in made.get(tensor, {}).get(where, ()):
                if einsum is origin and tuple(at.items()) in events:
                    have.add(events[tuple(at.items())])
                for access in einsum.accesses:
                    source = u.coordinates(access, at)
                    if source is not None:
                        have |= needed(access.tensor, source)
            known[key] = frozenset(have)
        return known[key]

    return needed


def longest(after: dict[int, set[int]]) -> int | None:
    """The number of elements of the longest chain; None when the relation has a cycle."""
    best: dict[int, int | None] = {}
    open_: set[int] = set()

    def visit(i: int) -> int | None:
        if i in open_:
            return None
        if i not in best:
            open_.add(i)
            tails = [visit(j) for j in after[i]]
            open_.discard(i)
            best[i] = None if None in tails else 1 + max((t for t in tails if t is not None), default=0)
        return best[i]

    found = [visit(i) for i in after]
    return None if None in found else max((n for n in found if n is not None), default=1)
