"""Guarantee 24: A name asked for with the spawn."""

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
def a_name_of_a_spawn_is_there_from_the_first_step() -> None:
    """B5, B6: or it was taken, and nothing was started."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        held: list[bool] = []
        refused: list[str] = []

        async def named(ctx: ProcessContext) -> None:
            held.append(ctx.lookup("only") == ctx.pid)
            await trio.sleep_forever()

        async def parent(ctx: ProcessContext) -> None:
            try:
                await ctx.spawn(named, name="only", messages=[("t", 1)])
            except ProcessError as error:
                refused.append(str(error.kind))

        for _ in range(3):
            await sim.spawn(parent)
        await sim.settle()
        assert (held, refused) == ([True], ["AlreadyExists"] * 2)
        assert len(sim.node.processes) == 1

    test()
