"""Random and named task graphs for the tests of bounds, engine and scheduler."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from simulator.taskgraph import Edge, Resource, Task, TaskGraph


def task(name, ticks=0, on=None, latency=None, **fields):
    """A task of whole ticks on at most one resource; its latency is its occupancy unless given."""
    held = {on: Fraction(ticks)} if on else {}
    return Task(name, held, Fraction(ticks if latency is None else latency), **fields)


def graph(resources, tasks, edges, instances=None):
    made = tuple(Resource(r) if isinstance(r, str) else r for r in resources)
    return TaskGraph(made, tuple(tasks), tuple(edges), 1e-9, instances)


def abc():
    """A and B of one tick, C of two, all on one resource; A -> B -> A with latency 2: bound 4, best attainable 5."""
    tasks = [task("A", 1, "pe", 2), task("B", 1, "pe", 2), task("C", 2, "pe")]
    return graph(["pe"], tasks, [Edge("A", "B"), Edge("B", "A", 1)])


@st.composite
def loops(draw, most=5, every=(1,)):
    """Strongly random dependences, no resources: forward edges of any distance, back edges of one or more."""
    count = draw(st.integers(1, most))
    tasks = [task(f"t{k}", latency=draw(st.integers(0, 9)), every=draw(st.sampled_from(every))) for k in range(count)]
    edges = []
    for _ in range(draw(st.integers(0, 2 * most))):
        a, b = draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))
        edges.append(Edge(f"t{a}", f"t{b}", draw(st.integers(0 if a < b else 1, 3))))
    return graph([], tasks, edges)


@st.composite
def patterned(draw, name):
    """A task's `every`, `burst`, `turn` and `stage`."""
    every = draw(st.sampled_from([1, 1, 1, 2, 3]))
    fields = {"every": every, "stage": draw(st.sampled_from([0, 0, 0, 1]))}
    if every > 1:
        fields |= {"burst": draw(st.integers(1, 3)), "turn": draw(st.integers(0, every - 1))}
    return fields


@st.composite
def machines(draw, disciplines=("listed",), most=5, servers=2, plain=False):
    """A graph with one to three resources, several held at once, patterns, stages and edges of every kind."""
    kinds = [draw(st.sampled_from(disciplines)) for _ in range(draw(st.integers(1, 3)))]
    resources = [
        Resource(f"r{k}", Fraction(draw(st.integers(1, 7 if kind == "fluid" else servers))), kind)
        for k, kind in enumerate(kinds)
    ]
    tasks = []
    for k in range(draw(st.integers(1, most))):
        held = draw(st.lists(st.sampled_from(resources), max_size=2, unique_by=lambda r: r.name))
        occupancy = {r.name: Fraction(draw(st.integers(0 if r.discipline == "fluid" else 1, 6))) for r in held}
        longest = max((int(v) for n, v in occupancy.items()), default=0)
        caps = {
            r.name: Fraction(draw(st.integers(1, 4))) for r in held if r.discipline == "fluid" and draw(st.booleans())
        }
        latency = Fraction(longest + draw(st.integers(0, 4)))
        fields = {} if plain else draw(patterned(k))
        tasks.append(Task(f"t{k}", occupancy, latency, caps=caps or None, **fields))
    edges = []
    for _ in range(draw(st.integers(0, 2 * most))):
        a, b = draw(st.integers(0, len(tasks) - 1)), draw(st.integers(0, len(tasks) - 1))
        kind = draw(st.sampled_from(["data", "data", "buffer", "order"]))
        own = draw(st.none() | st.integers(0, 8).map(Fraction))
        edges.append(Edge(f"t{a}", f"t{b}", draw(st.integers(0 if a < b else 1, 3)), kind, own))
    return graph(resources, tasks, edges)
