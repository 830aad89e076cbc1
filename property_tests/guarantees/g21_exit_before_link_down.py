"""Guarantee 21: EXIT comes before LINK_DOWN."""

from __future__ import annotations

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def exit_comes_before_link_down() -> None:
    """V5: to who has both a monitor and a link."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        told: dict[str, list[str]] = {}

        async def failing(ctx: ProcessContext) -> None:
            raise ValueError("fails")

        async def both(ctx: ProcessContext) -> None:
            ctx.options.trap_links = True
            for _ in range(2):
                await ctx.spawn(failing, monitor=True, link=True)
            async for event in ctx.events:
                told.setdefault(event.sender, []).append(str(event.kind))

        await sim.spawn(both)
        await sim.settle()
        assert list(told.values()) == [["pid.exit", "pid.link.down"]] * 2

    test()
