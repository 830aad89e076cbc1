"""Guarantee 31: An end before the deadline is the own result; being alive at it is not."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def an_end_before_the_deadline_is_its_own() -> None:
    """K8: and being alive at it is not."""

    @explore(schedules=times(30), report=("text",))
    async def test(sim: Sim) -> None:
        async def worker(ctx: ProcessContext, seconds: float) -> str:
            await ctx.events.receive()
            await trio.sleep(seconds)
            return "done"

        pids = {seconds: await sim.spawn(worker, seconds) for seconds in (1.0, 4.5, 6.0)}
        await sim.settle()
        for pid in pids.values():
            sim.node.cancel(pid, 5)
        await sim.run_for(20)
        for seconds, pid in pids.items():
            record = sim.node.exits.get(pid)
            assert record is not None
            if seconds > 5:
                assert record.exit.error is not None
                assert record.exit.error.message == "cancel deadline exceeded"
            elif record.exit.error is None:
                assert record.exit.value == "done"
            else:  # its CANCEL was read late
                assert record.at >= 5

    test()
