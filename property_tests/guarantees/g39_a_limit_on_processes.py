"""Guarantee 39: A limit on processes holds."""

from __future__ import annotations

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
    ProcessUnavailable,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_limit_on_processes_holds() -> None:
    """W8, Z5: in every order, and an end makes room at once."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        refused: list[str] = []

        async def child(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()

        async def parent(ctx: ProcessContext) -> None:
            for _ in range(2):
                try:
                    pid = await ctx.spawn(child, host="small")
                except ProcessUnavailable as error:
                    refused.append(error.message)
                else:
                    ctx.send(pid, "end")

        small = await sim.host("small", max_processes=2)
        sim.always("never more than two", lambda: small.alive <= 2)
        for _ in range(2):
            await sim.spawn(parent)
        await sim.settle()
        assert set(refused) <= {"host is full (max_processes=2)"}
        assert small.alive == 0

    test()
