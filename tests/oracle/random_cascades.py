"""Random cascades of maps, reductions, scans, filters and tiles over one streamed rank.

`choose` picks one of a sequence: `random.choice`, or a hypothesis draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Choose = Callable[[Sequence], object]


def flat_cascade(choose: Choose, lines: int) -> str:
    """A cascade over I, perhaps with a fixed rank P that all but the inputs carry."""
    p = choose(["", "", "p"])
    full, scalar, scan = ["A", "B"], [], []
    text = []

    def at(*indices: str, fixed: bool = True) -> str:
        return "[" + ",".join([*indices, *([p] if p and fixed else [])]) + "]"

    def streamed(variable: str = "i", *, shifts: Sequence[str] = ("", "", "", "+1", "-1")) -> str:
        name = choose(full)
        return f"{name}{at(variable + choose(shifts), fixed=name not in 'AB')}"

    def any_operand(variable: str = "i") -> str:
        kinds = ["full"] * 3 + ["scalar"] * 3 * bool(scalar) + ["scan"] * 3 * bool(scan)
        match choose(kinds):
            case "full":
                return streamed(variable)
            case "scalar":
                return choose(scalar) + at()
            case _:
                name, last = choose(scan)
                return name + at(choose([variable, variable, f"{variable}+1", last]))

    def mask() -> str:
        return choose(["", "", "", f" | i {choose(['<=', '>='])} p"]) if p else ""

    for number in range(lines):
        name = f"T{number}"
        operator = choose(["*", "+", "-", "/"])
        kinds = ["map"] * 4 + ["reduce"] * 3 + ["scan", "back", "filter"] + ["scalar"] * bool(scalar or scan)
        match choose(kinds):
            case "map":
                text.append(f"{name}{at('i')} = {streamed()} {operator} {any_operand()}{mask()}")
                full.append(name)
            case "reduce":
                text.append(
                    f"{name}{at()} = {streamed()} {operator} {any_operand()} :: {choose(['add', 'max'])}{mask()}"
                )
                scalar.append(name)
            case "scan":
                text.append(f"init {name}{at('0')} = 0")
                text.append(f"{name}{at('i+1')} = {name}{at('i')} + {streamed()}")
                scan.append((name, "I"))
            case "back":
                text.append(f"init {name}{at('I')} = 0")
                text.append(f"{name}{at('i')} = {name}{at('i+1')} + {streamed()}")
                scan.append((name, "0"))
            case "filter":
                bound = f"k {choose(['<=', '<', '>=', '>'])} i{choose(['', '+1', '-1'])}"
                window = choose(["", "", f", k {choose(['>', '>='])} i-2"]) if "<" in bound else ""
                text.append(f"{name}{at('i')} = {streamed('k', shifts=('',))} | {bound}{window}")
                full.append(name)
            case _:
                other = choose([*(s + at() for s in scalar), *(s + at(last) for s, last in scan)])
                first = choose([*(s + at() for s in scalar), *(s + at(last) for s, last in scan)])
                text.append(f"{name}{at()} = {first} {operator} {other}")
                scalar.append(name)
    return _whole(text, "I, K = I, P", "A[I] B[I]", p)


def tiled_cascade(choose: Choose, lines: int) -> str:
    """A cascade over I in tiles: tensors over I1 and I0, over I1 alone, scans over I1, scalars."""
    full, tile, scalar, scan = ["A", "B"], [], [], []
    text = []

    def streamed() -> str:
        name = choose(full)
        return f"{name}[i1*I0+i0]" if name in "AB" else f"{name}[i1,i0]"

    def per_tile() -> str:
        kinds = ["tile"] * 2 * bool(tile) + ["scalar"] * bool(scalar) + ["scan"] * 2 * bool(scan)
        match choose(kinds or ["none"]):
            case "tile":
                return f"{choose(tile)}[i1]"
            case "scalar":
                return f"{choose(scalar)}[]"
            case "scan":
                return f"{choose(scan)}[{choose(['i1', 'i1+1', 'I1'])}]"
            case _:
                return "2"

    for number in range(lines):
        name = f"T{number}"
        operator = choose(["*", "+", "-"])
        kinds = ["map", "map", "tile", "tile", "reduce"] + ["scan", "summary", "total", "update"] * bool(tile)
        match choose(kinds):
            case "map":
                text.append(f"{name}[i1,i0] = {streamed()} {operator} {choose([streamed, per_tile, per_tile])()}")
                full.append(name)
            case "tile":
                text.append(f"{name}[i1] = {streamed()} {operator} {choose([streamed, per_tile])()} :: max")
                tile.append(name)
            case "reduce":
                text.append(f"{name}[] = {streamed()} {operator} {per_tile()}")
                scalar.append(name)
            case "scan":
                text.append(f"init {name}[0] = 0")
                text.append(f"{name}[i1+1] = max({name}[i1], {choose(tile)}[i1])")
                scan.append(name)
            case "summary":
                text.append(f"{name}[i1] = {choose(tile)}[i1] {operator} {per_tile()}")
                tile.append(name)
            case "total":
                text.append(f"{name}[] = {choose(tile)}[i1] {operator} {per_tile()}")
                scalar.append(name)
            case _:  # a correction that is part of its own scan, as RD of the one-pass cascade
                text.append(f"init {name}R[0] = 0")
                text.append(f"{name}[i1] = {name}R[i1] * {per_tile()}")
                text.append(f"{name}R[i1+1] = {name}[i1] + {choose(tile)}[i1]")
                tile.append(name)
                scan.append(f"{name}R")
    return _whole(text, "I = I1 * I0", "A[I] B[I]", "")


def square_cascade(choose: Choose, lines: int) -> str:
    """A cascade over pairs (m, p) of one sequence S, as self-attention is, with rows read again."""
    pairs, rows, keys, scalar = [], ["X"], ["X"], []
    text = []

    def row() -> str:
        return f"{choose(rows)}[p]"

    def key() -> str:
        return f"{choose(keys)}[m]"

    for number in range(lines):
        name = f"T{number}"
        operator = choose(["*", "+", "-"])
        kinds = ["pair", "pair", "row", "key"] + ["map", "map", "reduce", "reduce", "reduce"] * bool(pairs)
        match choose(kinds):
            case "pair":
                text.append(f"{name}[m,p] = {key()} * {row()}")
                pairs.append(name)
            case "map":
                other = choose([row(), key(), f"{choose(pairs)}[m,p]"])
                text.append(f"{name}[m,p] = {choose(pairs)}[m,p] {operator} {other}")
                pairs.append(name)
            case "reduce":
                text.append(f"{name}[p] = {choose(pairs)}[m,p] * {choose([key(), row(), '2'])}")
                rows.append(name)
            case "row":
                text.append(f"{name}[p] = {row()} {operator} {choose([row, lambda: choose([*scalar, '2'])])()}")
                rows.append(name)
            case _:
                text.append(f"{name}[m] = {key()} {operator} {key()}")
                keys.append(name)
        if choose([False] * 5 + [True]):
            text.append(f"{name}S[] = {row()}")
            scalar.append(f"{name}S[]")
    return "\n".join(
        ["cascade random", "extent S, M = S, P = S", "input X[S]", "output Z[P]", *text, f"Z[p] = {row()} * {row()}"]
    )


def _whole(text: list[str], extents: str, inputs: str, p: str) -> str:
    last = text[-1].split("=")[0].strip()
    name, indices = last.removesuffix("]").split("[")
    ranks = indices.replace("+1", "").upper()
    head = ["cascade random", f"extent {extents}", f"input {inputs}", "output Z[" + ranks + "]"]
    copy = indices.replace("+1", "")
    return "\n".join([*head, *text, f"Z[{copy}] = {name}[{indices}]"]) + "\n"


def chosen_cascade(choose: Choose, lines: int) -> str:
    """A cascade over I whose values choose: selections, gathers at what they chose, conditions on tensors."""
    full, scalar, index, place = ["A", "B"], [], [], []
    text = []

    def streamed() -> str:
        return f"{choose(full)}[i]"

    def with_scalar() -> str:
        return choose([streamed, streamed, *([lambda: f"{choose(scalar)}[]"] * 2 if scalar else [])])()

    def gathered() -> str:
        return f"{choose(full)}[{choose(index)}[k]]"

    def at_place() -> str:
        return choose([gathered, *([lambda: f"{choose(place)}[k]"] if place else [])])()

    for number in range(lines):
        name = f"T{number}"
        operator = choose(["*", "-"])
        kinds = ["map", "map", "reduce", "top", "keep", *(["gather", "sum", "pick"] if index else [])]
        match choose(kinds):
            case "map":
                text.append(f"{name}[i] = {streamed()} {operator} {with_scalar()}")
                full.append(name)
            case "keep":
                text.append(f"{name}[i] = {streamed()} | {streamed()} > {with_scalar()} ~ 1/2")
                full.append(name)
            case "reduce":
                text.append(f"{name}[] = {streamed()} {operator} {with_scalar()}")
                scalar.append(name)
            case "top":
                text.append(f"{name}[k] = {streamed()} {operator} {with_scalar()} :: top")
                index.append(name)
            case "gather":
                text.append(f"{name}[k] = {gathered()} {operator} {at_place()}")
                place.append(name)
            case "sum":
                text.append(f"{name}[] = {at_place()}")
                scalar.append(name)
            case _:
                text.append(f"{name}[i] = {streamed()} {operator} {gathered()}")
                full.append(name)
    last = text[-1].split(" =")[0]
    ranks = last.split("[")[1].removesuffix("]").upper()
    head = ["cascade random", "extent I, K", "input A[I] B[I]", f"output Z[{ranks}]"]
    return "\n".join([*head, *text, f"Z[{ranks.lower()}] = {last}"]) + "\n"
