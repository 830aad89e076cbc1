"""Guarantee 28: A cancelled call leaves the process running."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_call_given_up_leaves_the_process() -> None:
    """C6: it runs on; a call that is not gives the value."""

    @explore(schedules=times(30), report=("text",))
    async def test(sim: Sim) -> None:
        values: list[int] = []

        async def worker(ctx: ProcessContext, number: int) -> int:
            await trio.sleep(number)
            values.append(number)
            return number

        async def caller(ctx: ProcessContext) -> None:
            with trio.move_on_after(2):
                await ctx.call(worker, 5)
            values.append(await ctx.call(worker, 1) * 100)

        await sim.spawn(caller)
        await sim.run_for(20)
        assert sorted(values) == [1, 5, 100]

    test()
