"""Guarantee 27: First messages come before all others."""

from __future__ import annotations

from typing import Any

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def first_messages_come_before_all_others() -> None:
    """B7, E11: and their sender is nobody."""

    @explore(schedules=times(10), report=("text",))
    async def test(sim: Sim) -> None:
        got: list[Any] = []

        async def child(ctx: ProcessContext) -> None:
            async for message in ctx.inbox:
                got.append((message.sender, message.payload))

        pid = await sim.spawn(child, messages=[("t", 1), ("t", 2)])
        sim.send(pid, "t", 3)
        await sim.settle()
        assert got == [(None, 1), (None, 2), (None, 3)]

    test()
