"""Guarantee 9: What ends the program is not swallowed."""

from __future__ import annotations

import pytest
import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def what_ends_the_program_leaves_the_host() -> None:
    """E38, PH7: as it is, after the others have ended, in every order."""
    ended: list[str] = []

    @explore(schedules=times(5), report=("text",))
    async def test(sim: Sim) -> None:
        async def other(ctx: ProcessContext) -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.append("other")

        async def leaving(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            raise SystemExit(3)

        await sim.spawn(other)
        await sim.spawn(leaving, name="leaving")
        await sim.settle()
        sim.send("leaving", "go")
        await sim.settle()

    with pytest.raises(SystemExit) as caught:
        test()
    assert caught.value.code == 3
    assert ended == ["other"]
