"""Guarantee 20: Two failures at once."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def two_failures_end_one_process_once() -> None:
    """K14, K15: for the first; a trapping one hears of both."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        told: list[str] = []

        async def failing(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            raise ValueError("fails")

        async def trapping(ctx: ProcessContext) -> None:
            ctx.options.trap_links = True
            async for event in ctx.events:
                told.append(event.sender)

        async def plain(ctx: ProcessContext) -> None:
            await trio.sleep_forever()

        pids = [await sim.spawn(failing, name=f"f{index}") for index in range(2)]
        trap, other = await sim.spawn(trapping), await sim.spawn(plain)
        for pid in pids:
            sim.node.topology.link(pid, trap)
            sim.node.topology.link(pid, other)
        await sim.settle()
        for pid in pids:
            sim.send(pid, "now")
        await sim.settle()
        assert sorted(told) == sorted(pids)
        end = await sim.node.wait(other)
        assert end.error is not None
        assert end.error.message == "linked process failed"
        assert end.cause.by in pids

    test()
