"""One engine for every task graph: what happens, event by event, when a fusion group runs.

It knows tasks, resources, edges and instances, and nothing of attention. Time is a whole number of parts of a tick;
the same graph always runs the same way. See `plan` for numbers, `events` for the order of events, `flows` for shared
bandwidths, `jump` for the exact extrapolation of long runs.
"""

from simulator.engine.run import Firing, Run, run_group

__all__ = ["Firing", "Run", "run_group"]
