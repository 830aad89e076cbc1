"""Guarantee 38: A spawn that meets a stop."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
    ProcessUnavailable,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_spawn_that_meets_a_stop_is_refused_or_ended() -> None:
    """Z2, Z3: in no order does a child survive."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        steps: list[str] = []

        async def child(ctx: ProcessContext) -> None:
            steps.append("child")
            await trio.sleep_forever()

        async def parent(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            try:
                await ctx.spawn(child, host="far")
            except ProcessUnavailable:
                steps.append("refused")

        async def stopping(ctx: ProcessContext) -> None:
            far.request_stop(0)

        far = await sim.host("far")
        await sim.spawn(parent, name="parent")
        await sim.settle()
        sim.send("parent", "now")
        await sim.spawn(stopping)
        await sim.settle()
        assert steps in (["child"], ["refused"], [])
        assert far.alive == 0
        sim.sometimes("refused", steps == ["refused"])
        sim.sometimes("started", steps != ["refused"])

    test()
