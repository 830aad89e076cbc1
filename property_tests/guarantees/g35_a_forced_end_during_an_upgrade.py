"""Guarantee 35: A forced end during an upgrade wins."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
    ProcessNotFound,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_forced_end_beats_an_upgrade() -> None:
    """E40: no code begins after it."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        steps: list[str] = []

        async def old(ctx: ProcessContext) -> None:
            try:
                await ctx.inbox.receive()
                steps.append("upgrade")
                await ctx.upgrade(new)
            finally:
                with trio.CancelScope(shield=True):
                    await ctx.inbox.receive()

        async def new(ctx: ProcessContext) -> str:
            steps.append("new")
            return "upgraded"

        async def ending(ctx: ProcessContext) -> None:
            steps.append("terminate")
            try:
                ctx.terminate("it")
            except ProcessNotFound:
                pass

        pid = await sim.spawn(old, name="it")
        await sim.settle()
        sim.send("it", "now")
        await sim.spawn(ending)
        sim.send("it", "go on")
        await sim.settle()
        end = await sim.node.wait(pid)
        if "new" in steps:
            assert end.value == "upgraded"
            assert steps.index("new") > steps.index("upgrade")
        else:
            assert end.error is not None
            assert end.error.message == "process terminated"
        if steps[0] == "terminate":
            assert "new" not in steps

    test()
