"""Guarantee 15: Taking a monitor back."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_monitor_taken_back_in_time_is_silent() -> None:
    """N4: no EXIT, or exactly the one that was sent before."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        told: list[str] = []
        order: list[str] = []

        async def target(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            order.append("ended")

        async def watcher(ctx: ProcessContext) -> None:
            ctx.monitor("target")
            await ctx.inbox.receive()
            order.append("unmonitored")
            ctx.unmonitor(pid)
            with trio.move_on_after(5):
                told.append(str((await ctx.events.receive()).kind))

        pid = await sim.spawn(target, name="target")
        await sim.settle()
        await sim.spawn(watcher, name="watcher")
        await sim.settle()
        sim.send("watcher", "now")
        sim.send("target", "now")
        await sim.settle()
        late = order[0] == "ended"
        assert told == (["pid.exit"] if late else [])
        sim.sometimes("in time", not late)
        sim.sometimes("too late", late)

    test()
