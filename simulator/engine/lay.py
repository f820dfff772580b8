"""The memory of a run: one array of whole numbers, in which a header says where everything starts.

One array is what compiled functions hand to each other at no cost, whatever the graph. Below HEADER lie counts of the
graph, scalars of the run, and the places where its tables start; `TABLES` gives the extents of each.
"""

from __future__ import annotations

__all__ = ["HEADER", "PLAN", "TABLES", "WORK_UNIT"]

WORK_UNIT = 1 << 20  # parts of what a fluid resource does in a part of a tick

# Counts of the graph.
TASKS, FLOWS, RESOURCES, HOLDS, ROWS, UNITS, SLOTS, PLACES, WIDEST, RING, LEAVES, INSTANCES, QUEUES, LINES = range(14)
REFERENCE, EAGER, OFFSETS = 14, 15, 16
# Scalars of the run. MID and UNTIL are the iterations between which the reference task is
# watched; FROM and TO the window recorded.
EVENTS, ALIVE, LIVE, RING_FULL, LAST_END, MID, MID_ITERATION, MID_START, LAST_START = range(17, 26)
RECORDED, FROM, TO, SKIPPED, LIMIT = range(26, 31)
# The plan, see `plan.Plan`.
EVERY, BURST, TURN, STAGE, LATENCY, LONGEST, HOLD_AT, HOLD, HOLD_TICKS = range(31, 40)
FLOW_AT, FLOW, FLOW_WORK, FLOW_CAP, FLOW_TASK, IN_AT, SOURCE, DISTANCE, WAIT, KIND, OFFSET = range(40, 51)
OUT_AT, TARGET, OUT_OFFSET, SERVERS, GREEDY, SCOPE, USER_AT, USER, THROUGH_AT, THROUGH = range(51, 61)
ITERATIONS, QUEUE, QUEUE_AT, QUEUE_OF = range(61, 65)
# The state.
STARTED, KNOWN, TOTAL, AT, READY, CAUSE, STREAMS, RECORD = range(65, 73)
START_RING, DONE_RING, REST, RATE, SINCE, DUE, HELD, LEFT, END, HEAD, INSTANCE, UNIT, SLOT = range(73, 86)
ROW, OF_INSTANCE, FREE, TREE, NEXT, QUEUED, BUSY, FIRST, LAST, STALL, FIRED, TABLE, SCRATCH = range(86, 99)
LAST_ITERATION, UNTIL = 99, 100
HEADER = 101

PLAN = """
every burst turn stage latency longest hold_at hold hold_ticks flow_at flow flow_work flow_cap flow_task in_at
source distance wait kind offset out_at target out_offset servers greedy scope user_at user through_at through
iterations queue queue_at queue_of
""".split()  # noqa: SIM905 - names, read better as words

_TASK = ("ROWS", "TASKS")
_FLOW = ("ROWS", "FLOWS")
# What the state holds: extents (names of counts, or numbers), and what it is filled with.
TABLES: dict[str, tuple[tuple[str | int, ...], int]] = {
    "STARTED": (_TASK, 0),
    "KNOWN": (_TASK, 0),  # firings whose result has a time
    "TOTAL": (_TASK, 0),
    "AT": (_TASK, 1 << 62),  # iteration of the next firing, stages included
    "READY": (_TASK, 1 << 62),  # when all that the next firing waits for is there
    "CAUSE": (_TASK, 0),  # kind of the edge that came last
    "STREAMS": (_TASK, 0),  # flows of the firing at hand that are not done
    "RECORD": (_TASK, -1),  # line of the table
    "START_RING": ((*_TASK, "RING"), 0),
    "DONE_RING": ((*_TASK, "RING"), 0),
    "REST": (_FLOW, 0),
    "RATE": (_FLOW, 0),
    "SINCE": (_FLOW, 0),
    "DUE": (_FLOW, -1),  # -1 where nothing flows
    "HELD": (("ROWS", "HOLDS"), 0),  # which server
    "LEFT": (("ROWS",), 0),  # firings
    "END": (("ROWS",), 0),
    "HEAD": (("ROWS", "RESOURCES"), -1),  # the task that is next in listed order
    "INSTANCE": (("ROWS",), -1),
    "UNIT": (("ROWS",), 0),
    "SLOT": (("ROWS",), 0),
    "ROW": (("UNITS", "SLOTS"), -1),  # -1 where nothing lives
    "OF_INSTANCE": (("INSTANCES",), -1),  # its row, -1 before its time
    "FREE": (("RESOURCES", "PLACES", "WIDEST"), 0),
    "TREE": ((2, "LEAVES"), 0),  # tournament of units by their next time
    "NEXT": (("LEAVES",), 1 << 62),
    "QUEUED": (("QUEUES",), 0),
    "BUSY": (("RESOURCES",), 0),
    "FIRST": (("RESOURCES",), 1 << 62),
    "LAST": (("RESOURCES",), 0),
    "STALL": (("RESOURCES", 4), 0),
    "FIRED": (("TASKS",), 0),
    "TABLE": (("LINES", 5), 0),  # recorded firings: task, instance, iteration, start, end
    "SCRATCH": ((2, "RING"), 0),
}
