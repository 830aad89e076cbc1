"""Guarantee 29: cancel asks."""

from __future__ import annotations

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def cancel_without_a_deadline_ends_nothing() -> None:
    """K1: however many ask, and whenever."""

    @explore(schedules=times(30), report=("text",))
    async def test(sim: Sim) -> None:
        asked: list[str] = []

        async def deaf(ctx: ProcessContext) -> None:
            async for event in ctx.events:
                asked.append(event.sender)

        async def asking(ctx: ProcessContext) -> None:
            ctx.cancel("deaf")
            ctx.cancel("deaf")

        pid = await sim.spawn(deaf, name="deaf")
        for _ in range(2):
            await sim.spawn(asking)
        await sim.run_for(1000)
        assert pid in sim.node.processes
        assert len(asked) == 4

    test()
