"""Exploring a whole application: start it, let time pass, break things, stop it.

Nothing is known of the application but that it starts: what is checked are the invariants of every
run. The opener is handed in, because applications live above this package.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from trio_actors.testing.exploration import Exploration, Explored
from trio_actors.testing.faults import KILLS_AND_DELAYS, Faults
from trio_actors.testing.invariants import DEFAULT, Invariant
from trio_actors.testing.run import Options
from trio_actors.testing.schedule import Schedule
from trio_actors.testing.sim import Sim

CHECKED = DEFAULT - {Invariant.NOT_STUCK}  # a killed callee may leave that to the caller


def explore_application(
    open_app: Callable[[], AbstractAsyncContextManager[Any]],
    *,
    name: str = "application",
    schedules: int = 2000,
    seconds: float = 3.0,
    faults: Faults = KILLS_AND_DELAYS,
    strategy: str = "portfolio",
    seed: int = 0,
    replay: str | None = None,
    max_steps: int = 50_000,
    check: Callable[[Any, Sim], object] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Explored:
    """Runs an application under many schedules, with kills and delays, on virtual time.

    Args:
        open_app: makes the context manager that starts the application, once per run.
        seconds: of virtual time that the application runs for before it is stopped.
        check: is called with what was opened, and the simulation, before it is stopped;
            raises if something is wrong with it.
        progress: is told after each run how many were made.

    Raises:
        ScheduleFailure: a run broke an invariant or could not start; the message is the report.
        ValueError: a malformed `replay` token.
    """

    async def body(sim: Sim) -> None:
        async with open_app() as app:
            await sim.run_for(seconds)
            if check is not None:
                check(app, sim)

    exploration = Exploration(
        test=body,
        name=name,
        options=Options(faults=faults, invariants=CHECKED, max_steps=max_steps, seed=seed),
        schedules=schedules,
        strategy=strategy,
        replay=None if replay is None else Schedule.parse(replay),
        progress=progress,
    )
    return exploration.run()
