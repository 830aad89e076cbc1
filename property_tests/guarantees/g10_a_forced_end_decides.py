"""Guarantee 10: A forced end decides the result."""

from __future__ import annotations

import pytest
import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ErrorKind,
    ProcessContext,
    ProcessNotFound,
)
from trio_actors.testing import Sim, explore


@guarantee
def the_first_forced_end_decides() -> None:
    """T1-T5, E40: whatever the code does while it unwinds."""

    @explore(schedules=times(4), report=("text",))
    async def test(sim: Sim) -> None:
        cleaned: list[str] = []

        async def stubborn(ctx: ProcessContext) -> str:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(3)
                cleaned.append("yes")
                raise ValueError("while unwinding")

        async def failing(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            raise ValueError("fails")

        pid = await sim.spawn(stubborn)
        peer = await sim.spawn(failing, link=pid)
        await sim.settle()
        sim.node.terminate(pid)
        sim.node.terminate(pid)
        sim.send(peer, "fail")
        await sim.settle()
        error = (await sim.node.wait(pid)).error
        assert error is not None
        assert (error.message, error.kind) == ("process terminated", ErrorKind.CANCELED)
        assert cleaned == ["yes"]
        with pytest.raises(ProcessNotFound, match="process not found"):
            sim.node.terminate(pid)

    test()
