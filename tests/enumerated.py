"""What comes out of a small system in the orders that DPOR makes, and in all orders there are.

A system notes what its processes have seen, each in a list of its own: what they would share behind
the node's back, DPOR does not see.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from trio_actors.testing import Sim
from trio_actors.testing.determinism import repeatable
from trio_actors.testing.dpor import Choice, Dpor, Footprint
from trio_actors.testing.policies import ByPlan
from trio_actors.testing.run import Options, Outcome, Run, run_in_trio
from trio_actors.testing.search import steps_of
from trio_actors.testing.stage import Stage

Notes = dict[str, list[Any]]
System = Callable[[Sim, Notes], Awaitable[None]]
Seen = tuple[tuple[str, tuple[Any, ...]], ...]  # what each has noted
Plan = tuple[list[Choice], dict[Choice, Footprint]]


async def made(system: System, stage: Stage, plan: Plan) -> tuple[Outcome, Seen]:
    """One run, and what came of it."""
    notes: Notes = {}

    async def test(sim: Sim) -> None:
        await system(sim, notes)
        await sim.settle()

    outcome = await Run(test, ByPlan(*plan), Options(), tables=True).run(stage)
    assert outcome.failure is None, outcome.failure
    return outcome, tuple(sorted((who, tuple(seen)) for who, seen in notes.items()))


async def in_orders_that_differ(system: System, stage: Stage) -> AsyncIterator[Seen]:
    """What comes of each run that DPOR makes until it says that all is covered."""
    dpor = Dpor()
    while (planned := dpor.next_plan()) is not None:
        outcome, seen = await made(system, stage, planned)
        dpor.learn(steps_of(outcome), complete=not outcome.covered)
        if not outcome.covered:
            yield seen


async def in_all_orders(system: System, stage: Stage, limit: int) -> set[Seen] | None:
    """What comes of every order; None if there are more orders than `limit`."""
    found: set[Seen] = set()
    todo: list[list[Choice]] = [[]]
    runs = 0
    while todo:
        prefix = todo.pop()
        runs += 1
        if runs > limit:
            return None
        outcome, seen = await made(system, stage, (prefix, {}))
        found.add(seen)
        run = steps_of(outcome)
        for index in range(len(prefix), len(run)):
            for choice in run[index].enabled:
                if choice != run[index].choice:
                    todo.append([step.choice for step in run[:index]] + [choice])
    return found


def verified(system: System) -> tuple[list[Seen], set[Seen] | None]:
    """What DPOR has found, one entry for each class of orders, and what there is."""

    async def compare(stage: Stage) -> tuple[list[Seen], set[Seen] | None]:
        found = [seen async for seen in in_orders_that_differ(system, stage)]
        return found, await in_all_orders(system, stage, limit=600)

    with repeatable():
        return run_in_trio(compare)
