"""A harness that explores interleavings: hold messages back, break things, replay, shrink.

The map, in the order in which to read:

    schedule.py      which messages were late, as a token
    delivery.py      what waits, and what was done
    pump.py          holds deliveries and makes one step at a time
    policies.py      which step is next; dpor.py: which runs differ at all; search.py: which to make
    footprint.py     what a step touched; tables.py, gate.py, waiting.py: where that is noted
    run.py, sim.py   one run; what the test sees of it; stage.py: what runs share; stopped.py
    invariants.py    what holds in every run; faults.py: what goes wrong
    exploration.py   all runs of a test; shrink.py, report*.py: what fails, small and visible
    explore.py       the decorator

Nothing here imports pytest or Hypothesis unless it is used for them.
"""

from __future__ import annotations

from trio_actors.testing.exploration import (
    Exploration,
    Explored,
    ScheduleFailure,
    Unrepeatable,
    Vacuous,
)
from trio_actors.testing.explore import explore
from trio_actors.testing.faults import KILLS_AND_DELAYS, NO_FAULTS, Faults, buggify
from trio_actors.testing.history import History, Operation
from trio_actors.testing.invariants import DEFAULT, Invariant, Violation
from trio_actors.testing.linearizable import Model, NotLinearizable, linearizable
from trio_actors.testing.schedule import Fault, MessageId, Schedule
from trio_actors.testing.sim import Sim
from trio_actors.testing.stopped import Restless, Stuck

__all__ = [
    "DEFAULT",
    "KILLS_AND_DELAYS",
    "NO_FAULTS",
    "Exploration",
    "Explored",
    "Fault",
    "Faults",
    "History",
    "Invariant",
    "MessageId",
    "Model",
    "NotLinearizable",
    "Operation",
    "Restless",
    "Schedule",
    "ScheduleFailure",
    "Sim",
    "Stuck",
    "Unrepeatable",
    "Vacuous",
    "Violation",
    "buggify",
    "explore",
    "linearizable",
]
