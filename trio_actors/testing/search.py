"""Which runs to make: in order, all that differ (DPOR), then a portfolio of random policies.

Pure: a generator yields plans and is sent outcomes; it returns whether everything was covered.
"""

from __future__ import annotations

import random
from collections.abc import Generator

import attrs

from trio_actors.testing.dpor import Dpor, Made
from trio_actors.testing.policies import (
    ByLateness,
    ByPlan,
    PartialOrderSampling,
    Priorities,
    RandomWalk,
    portfolio,
)
from trio_actors.testing.pump import Policy
from trio_actors.testing.run import Outcome
from trio_actors.testing.schedule import YOUNGEST_FIRST, Schedule

STRATEGIES = ("auto", "fifo", "dpor", "pct", "pos", "random", "portfolio")
DPOR_SHARE = 0.4  # of the budget, with strategy "auto"
TURNED = 12  # each so many-th random run takes the tasks of a step the other way round


@attrs.frozen(slots=True)
class Plan:
    """One run to be made."""

    policy: Policy
    name: str  # the strategy, for people
    fault_seed: str | None = None  # None: no faults but those of the schedule
    tables: bool = False  # note what each step touches
    schedule: Schedule = Schedule.FIFO


Search = Generator[Plan, Outcome, int | None]


def replay(schedule: Schedule) -> Plan:
    """The run that a schedule describes."""
    return Plan(ByLateness(schedule), "replay", schedule=schedule)


def search(strategy: str, schedules: int, seed: int, *, faults: bool) -> Search:
    """Plans of at most `schedules` runs; returns the number of traces if all were covered."""
    if strategy not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise ValueError(f"unknown strategy {strategy!r}; known: {known}")
    if schedules < 1:
        raise ValueError(f"schedules must be at least 1, not {schedules}")
    first = yield Plan(ByLateness(), "fifo")
    made, longest = 1, len(first.steps)
    if strategy == "fifo":
        return None
    if strategy in ("auto", "dpor"):
        limit = schedules if strategy == "dpor" or longest < 2 else 1 + int(schedules * DPOR_SHARE)
        dpor = Dpor()
        while made < max(limit, 2):
            planned = dpor.next_plan()
            if planned is None:
                if not faults:
                    if made < schedules:
                        yield Plan(ByLateness(), "youngest first", schedule=YOUNGEST_FIRST)
                    return dpor.runs
                break
            outcome = yield Plan(ByPlan(*planned), "dpor", tables=True)
            dpor.learn(steps_of(outcome), complete=not outcome.covered)
            longest = max(longest, len(outcome.steps))
            made += 1
        if strategy == "dpor":
            return dpor.runs if dpor.next_plan() is None and not faults else None
    for index in range(max(0, schedules - made)):
        policy, name = _random_policy(strategy, index, seed, longest)
        outcome = yield Plan(
            policy,
            name,
            f"{seed}/{index}" if faults else None,
            schedule=Schedule.FIFO if (index + 1) % TURNED else YOUNGEST_FIRST,
        )
        longest = max(longest, len(outcome.steps))
    return None


def _random_policy(strategy: str, index: int, seed: int, steps: int) -> tuple[Policy, str]:
    rng = random.Random(f"{seed}/{index}")
    match strategy:
        case "pct":
            return Priorities(rng, 1 + index % 3, steps), "pct"
        case "pos":
            return PartialOrderSampling(rng), "pos"
        case "random":
            return RandomWalk(rng), "random"
        case _:
            return portfolio(rng, index, steps)


def steps_of(outcome: Outcome) -> list[Made]:
    """The steps of a run as DPOR sees them."""
    return [
        Made(
            step.id,
            step.enabled or [],
            step.footprint or {},
            step.delivery.posted_in if step.delivery is not None else 0,
        )
        for step in outcome.steps
    ]
