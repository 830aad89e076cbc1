"""Guarantee 44: A mailbox is unbounded unless it was asked for otherwise."""

from __future__ import annotations

from typing import Any

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    Bounded,
    ProcessContext,
    ProcessError,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_full_mailbox_refuses_messages_and_no_events() -> None:
    """M13: what was asked for is kept, the rest is refused; CANCEL comes through."""

    @explore(schedules=times(40), report=("text",))
    async def test(sim: Sim) -> None:
        got: dict[str, list[int]] = {"small": [], "large": []}
        refused: list[Any] = []

        async def reader(ctx: ProcessContext, name: str) -> None:
            await ctx.events.receive()
            with trio.move_on_after(1):
                async for message in ctx.inbox:
                    got[name].append(message.payload)

        async def sender(ctx: ProcessContext, name: str) -> None:
            for number in range(4):
                try:
                    ctx.send(name, "n", number)
                except ProcessError as error:
                    refused.append(error.undelivered.payload)

        await sim.spawn(reader, "small", name="small", mailbox=Bounded(3, overflow="reject"))
        await sim.spawn(reader, "large", name="large")
        for name in ("small", "large"):
            await sim.spawn(sender, name)
        await sim.run_for(40)
        for name in ("small", "large"):
            sim.node.cancel(sim.node.lookup(name))
        await sim.run_for(5)
        assert got["large"] == [0, 1, 2, 3]
        assert len(got["small"]) == 3

    test()
