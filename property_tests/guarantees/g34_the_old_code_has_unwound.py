"""Guarantee 34: The old code has unwound before the new begins."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def the_new_code_begins_after_the_old() -> None:
    """PY11, U5: and if the old one will not unwind, the upgrade has failed."""

    @explore(schedules=times(30), report=("text",))
    async def test(sim: Sim) -> None:
        steps: list[str] = []

        async def old(ctx: ProcessContext, wrong: bool) -> None:
            try:
                await ctx.inbox.receive()
                await ctx.upgrade(new)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                steps.append("old")
                if wrong:
                    raise ValueError("will not")

        async def new(ctx: ProcessContext) -> str:
            steps.append("new")
            return "upgraded"

        ends = []
        for wrong in (False, True):
            pid = await sim.spawn(old, wrong, name="it")
            sim.send("it", "now")
            await sim.settle()
            ends.append(await sim.node.wait(pid))
        assert ends[0].value == "upgraded"
        assert ends[1].abnormal
        assert steps == ["old", "new", "old"]

    test()
