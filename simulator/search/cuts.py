"""How a cascade is cut into fusion groups: the best sequence of groups for given inner extents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simulator.search.bounds import GroupBounds
from simulator.search.group import OBJECTIVES, Found, GroupSearch, Key, Tally
from simulator.search.nests import FusedGroup, fuse
from simulator.search.setting import Setting
from simulator.search.solve import Bound, Tables

__all__ = ["CutSearch", "total_cost"]

_NEVER = float("inf")
Span = tuple[int, int]


class CutSearch:
    """The search over cuts of a cascade into runs of Einsums, each a group that `GroupSearch` maps.

    A cut is a path from the first Einsum to behind the last; its cost is the sum of its groups'. Groups start at their
    bounds and are searched where the best path goes through them, until every group of the best path is.
    """

    def __init__(self, setting: Setting, objective: str, tally: Tally) -> None:
        self.setting = setting
        self.objective = objective
        self.tally = tally
        self.names = tuple(setting.einsums)
        self._searches: dict[Span, GroupSearch | None] = {}
        self.bound = GroupBounds(Tables(setting, _as_if_fused(self.names))).least()
        self.best: tuple[Found, ...] = ()
        self._cutting = False

    @property
    def best_key(self) -> Key | None:
        """The key of the best design so far."""
        return OBJECTIVES[self.objective](total_cost(f.cost for f in self.best)) if self.best else None

    @property
    def proven(self) -> Key:
        """A key that no cut is below: that of all work as if it were fused, or of the best path through the groups."""
        whole = OBJECTIVES[self.objective](self.bound)
        if not self._cutting:
            return whole
        return max(whole, self._path(lambda s: s.proven)[0])

    def bound_cuts(self) -> None:
        """Have `proven` tell all Einsums as one group from cuts, each group of which is bounded by itself."""
        # Latency is shared out as if all were fused, which is as good; products of sums do not add up along a path.
        self._cutting = self._cutting or self.objective in ("energy", "traffic")

    def searches(self) -> Iterator[GroupSearch]:
        """Yield the searches of all groups that were looked at."""
        yield from (s for s in self._searches.values() if s is not None)

    def run(self, effort: int, cutoff: Key | None = None, *, cut: bool = True) -> None:
        """Go on for `effort` more steps; `cutoff` is a key that a design must be below to be of use.

        Without `cut` only all Einsums as one group are searched, where they may be one.
        """
        whole = self._search((0, len(self.names)))
        if whole is not None:
            whole.run(effort, cutoff)
            if whole.best is not None and (self.best_key is None or whole.best_key < self.best_key):  # type: ignore[operator]
                self.best = (whole.best,)
            limit = min((k for k in (self.best_key, cutoff) if k is not None), default=None)
            if limit is not None and not OBJECTIVES[self.objective](self.bound)[0] * (1 + 1e-12) < limit[0]:
                return
        if self.objective != "edp" and (cut or whole is None or not whole.is_open):
            self._cut(effort, cutoff)

    def _cut(self, effort: int, cutoff: Key | None) -> None:
        """Search the groups on the best path until all of it is searched, or the effort is spent."""
        self._cutting = True
        done: set[Span] = set()
        spent = 0
        while spent < effort:
            length, path = self._path(lambda s: s.best_key if s.best_key and s.span_done else s.proven)
            limit = min((k for k in (self.best_key, cutoff) if k is not None), default=None)
            if length[0] == _NEVER or (limit is not None and not length < limit):
                return
            open_spans = [span for span in path if span not in done]
            if not open_spans:
                groups = [self._search(span) for span in path]
                found = tuple(s.best for s in groups if s is not None and s.best is not None)
                if len(found) == len(path):
                    self.best = found
                return
            search = self._search(max(open_spans, key=lambda span: span[1] - span[0]))
            assert search is not None
            before = search.scored
            search.run(effort - spent)
            search.span_done = True
            done.add(max(open_spans, key=lambda span: span[1] - span[0]))
            spent += max(1, search.scored - before)

    def _path(self, value: object) -> tuple[Key, tuple[Span, ...]]:
        """Return the least sum of the groups' values from the first Einsum to the last, and the groups."""
        best: list[tuple[Key, tuple[Span, ...]] | None] = [((0.0, 0.0, 0.0), ()), *([None] * len(self.names))]
        for end in range(1, len(self.names) + 1):
            for start in range(end):
                before, search = best[start], self._search((start, end))
                if before is None or search is None:
                    continue
                key = value(search)  # type: ignore[operator]
                length = tuple(a + b for a, b in zip(before[0], (*key, *([_NEVER] * (3 - len(key)))), strict=True))
                current = best[end]
                if current is None or length < current[0]:
                    best[end] = (length, (*before[1], (start, end)))
        return best[-1] or ((_NEVER, _NEVER, _NEVER), ())

    def _search(self, span: Span) -> GroupSearch | None:
        if span not in self._searches:
            group = fuse(self.setting, self.names[span[0] : span[1]])
            self.tally.add("groups" if group else "groups that cannot be")
            self._searches[span] = GroupSearch(self.setting, group, self.objective, self.tally) if group else None
        return self._searches[span]


def _as_if_fused(names: tuple[str, ...]) -> FusedGroup:
    """Return all Einsums as one group without shared loops, of which only the bounds make sense."""
    return FusedGroup(names, (), (), frozenset(), frozenset(), frozenset())


def total_cost(costs: Iterable[Bound]) -> Bound:
    """Return the cost of groups one after another."""
    columns = list(zip(*costs, strict=True))
    return sum(columns[0]), sum(columns[1]), sum(columns[2])
