"""Guarantee 32: terminate ends at the next checkpoint."""

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
def terminate_unwinds_at_the_next_checkpoint() -> None:
    """T1, T5, PY9: `finally` runs, what it awaits must be shielded; twice is once."""

    @explore(schedules=times(60), report=("text",))
    async def test(sim: Sim) -> None:
        steps: list[str] = []

        async def victim(ctx: ProcessContext) -> None:
            try:
                async for _ in ctx.inbox:
                    steps.append("read")
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                    steps.append("shielded")
                await trio.sleep(1)
                steps.append("never")

        async def ending(ctx: ProcessContext) -> None:
            try:
                ctx.terminate("victim")
            except ProcessNotFound:
                pass

        pid = await sim.spawn(victim, name="victim")
        await sim.settle()
        for _ in range(2):
            await sim.spawn(ending)
        sim.send("victim", "m")
        await sim.settle()
        assert steps in (["shielded"], ["read", "shielded"])
        end = await sim.node.wait(pid)
        assert end.error is not None
        assert end.error.message == "process terminated"

    test()
