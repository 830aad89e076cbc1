"""Guarantee 23: A late unregister never takes the name of a successor."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
    ProcessError,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_late_unregister_spares_the_successor() -> None:
    """R6: whoever holds the name when all is done is alive, and was not robbed of it."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        async def worker(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            ctx.unregister("worker")

        async def successor(ctx: ProcessContext) -> None:
            while True:
                try:
                    ctx.register("worker")
                except ProcessError:
                    await trio.sleep(1)
                else:
                    break
            await trio.sleep_forever()

        await sim.spawn(worker, name="worker")
        second = await sim.spawn(successor)
        sim.send("worker", "now")
        await sim.run_for(60)
        assert sim.node.lookup("worker") == second

    test()
