"""Guarantee 16: No EXIT is made up."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
    ProcessNotFound,
)
from trio_actors.testing import Sim, explore


@guarantee
def who_is_dead_cannot_be_monitored() -> None:
    """N2: a monitor gives one EXIT, or the attempt fails; never both, never neither."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        seen: list[str] = []

        async def brief(ctx: ProcessContext) -> None:
            pass

        async def watcher(ctx: ProcessContext) -> None:
            try:
                ctx.monitor(pid)
            except ProcessNotFound:
                seen.append("refused")
            with trio.move_on_after(5):
                seen.append(str((await ctx.events.receive()).kind))

        pid = await sim.spawn(brief)
        await sim.spawn(watcher)
        await sim.settle()
        assert seen in (["refused"], ["pid.exit"])
        sim.sometimes("refused", seen == ["refused"])
        sim.sometimes("told", seen == ["pid.exit"])

    test()
