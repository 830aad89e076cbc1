"""Guarantee 14: Exactly one EXIT per monitor."""

from __future__ import annotations

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def each_monitor_gets_one_exit() -> None:
    """N1, E11: however short the life, and whoever ends it."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        told: list[tuple[str, bool]] = []

        async def brief(ctx: ProcessContext, fails: bool) -> None:
            if fails:
                raise ValueError("fails")

        async def watcher(ctx: ProcessContext, fails: bool) -> None:
            pid = await ctx.spawn(brief, fails, monitor=True)
            async for event in ctx.events:
                assert event.sender == pid
                told.append((str(event.kind), event.result.error is not None))

        await sim.spawn(watcher, True)
        await sim.spawn(watcher, False)
        await sim.settle()
        assert sorted(told) == [("pid.exit", False), ("pid.exit", True)]

    test()
