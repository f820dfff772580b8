"""The rules of `verify` for what depends on values: conditions, coordinates that are looked up, selections by `top`."""

from __future__ import annotations

from collections.abc import Iterator

from einsum_cascades.build import same_rank
from einsum_cascades.diagnostics import Problem, suggest
from einsum_cascades.extents import NUMBERS
from einsum_cascades.ir import Access, Affine, Call, Cascade, Symbol, walk, walk_accesses

__all__ = [
    "conditions_use_what_is_there",
    "lookups_give_coordinates",
    "needs_speak_of_extents",
    "selections_are_whole",
    "within_is_known",
]


def within_is_known(cascade: Cascade) -> Iterator[Problem]:
    """What the values of a tensor are coordinates of is an extent or a positive number; a density is of extents."""
    known = [e.name for e in cascade.extents]
    for tensor in cascade.tensors:
        if tensor.within is None or tensor.within in known:
            continue
        if not tensor.within.isdigit():
            hint = suggest(tensor.within, known) or f"declare it: 'extent {tensor.within}'"
            yield Problem(f"{tensor.name} is within {tensor.within}, which is not an extent", tensor.span, hint)
        elif int(tensor.within) == 0:
            yield Problem(f"{tensor.name} is within 0, so that it can have no value", tensor.span)
    for condition in (c for e in cascade.einsums for c in e.conditions):
        for extent in (x for term in condition.density or () for x in term.extents):
            if extent not in known:
                yield Problem(f"'{extent}' is not an extent", condition.span, suggest(extent, known))
        if condition.density is not None and condition.density[1].coefficient == 0:
            yield Problem("a density of something over 0", condition.span)


def needs_speak_of_extents(cascade: Cascade) -> Iterator[Problem]:
    """What a cascade needs is said of extents alone, with operators that numbers have."""
    known = [e.name for e in cascade.extents]
    for condition in cascade.needs:
        for node in (n for side in condition.sides for n in walk(side)):
            if isinstance(node, Access):
                yield Problem("what a cascade needs is said of its extents", node.span, f"{node.tensor} is a tensor")
            elif isinstance(node, Symbol) and node.name not in known:
                yield Problem(f"'{node.name}' is not an extent", node.span, suggest(node.name, known))
            elif isinstance(node, Call) and node.operator not in NUMBERS:
                yield Problem(f"'{node.operator}' is not known of extents", node.span, f"one of {', '.join(NUMBERS)}")


def conditions_use_what_is_there(cascade: Cascade) -> Iterator[Problem]:
    """A condition names rank variables of its Einsum and extents, nothing else."""
    extents = [e.name for e in cascade.extents]
    for einsum in cascade.einsums:
        there = f"there are {', '.join(einsum.variables)}"
        for condition in einsum.conditions:
            named = [(v, a) for side in condition.sides for a in walk_accesses(side) for v in a.variables]
            for variable, access in named:
                if variable not in einsum.variables:
                    message = f"the condition names '{variable}', which is no rank variable of this Einsum"
                    yield Problem(message, access.span, there)
            for node in (n for side in condition.sides for n in walk(side) if isinstance(n, Symbol)):
                if node.name not in extents and node.name not in einsum.variables:
                    hint = suggest(node.name, [*extents, *einsum.variables]) or there
                    yield Problem(f"'{node.name}' is no extent and no rank variable here", node.span, hint)


def lookups_give_coordinates(cascade: Cascade) -> Iterator[Problem]:
    """A coordinate is looked up in what is read, and of a tensor that is known to hold coordinates, in those."""
    held = {t.name: t.within for t in cascade.tensors if t.within is not None} | _selected(cascade)
    for einsum in cascade.einsums:
        for index in (i for i in einsum.output.indices if i.lookups):
            hint = "read it with a condition instead: '| I[j] == m'"
            yield Problem(f"{einsum.name} cannot be written at a place that is looked up", index.span, hint)
        for access in einsum.accesses:
            for index, rank in zip(access.indices, cascade.tensor(access.tensor).ranks, strict=True):
                name = _whole(index)
                if name in held and not _same(held[name], rank, cascade):
                    message = f"{name} holds coordinates of {held[name]}, but this rank of {access.tensor} is {rank}"
                    yield Problem(message, index.span)


def _whole(index: Affine) -> str:
    """Return the tensor that an index is looked up in as it is; "" for any other index."""
    term = index.terms[0] if len(index.terms) == 1 else None
    plain = term is not None and term.lookup is not None and term.coefficient == 1 and not term.extents
    return term.lookup.tensor if plain and term is not None and term.lookup is not None else ""


def _same(within: str, rank: str, cascade: Cascade) -> bool:
    return within.isdigit() or same_rank(within, rank, cascade.extents)


def _selected(cascade: Cascade) -> dict[str, str]:
    """Return the rank whose coordinates each selection holds."""
    tops = (e for e in cascade.extended if e.selects and len(e.reduced) == 1)
    return {e.name: e.reduced[0].upper() for e in tops}


def selections_are_whole(cascade: Cascade) -> Iterator[Problem]:
    """`top` selects along one variable, alone, and one variable that stands on the left alone counts the places."""
    for einsum in cascade.einsums:
        tops = [r for r in einsum.reductions if r.operator == "top"]
        if not tops:
            continue
        if len(einsum.reductions) > 1 or len(einsum.reduced) != 1:
            hint = f"reduced here: {', '.join(einsum.reduced) or 'nothing'}"
            yield Problem("top selects along exactly one variable, and nothing else is reduced", tops[0].span, hint)
        elif len(places := einsum.unread) != 1:
            found = f"{len(places)} do: {', '.join(places)}" if places else "none does"
            message = "of the variables on the left exactly one stands there alone, to count what top selects"
            yield Problem(message, tops[0].span, f"{found}; as in 'I[p,k] = S[m,p] :: top'")
        elif any(index.single is None or index.offset for index in einsum.output.indices):
            yield Problem("what top selects is written at plain variables", einsum.output.span)
