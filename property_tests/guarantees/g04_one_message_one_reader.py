"""Guarantee 4: One message, one reader."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
)
from trio_actors.testing import Sim, explore


@guarantee
def each_message_is_read_by_one_task() -> None:
    """PY4: of two tasks that wait, the one that has waited longer gets the next message."""

    @explore(schedules=times(30), report=("text",))
    async def test(sim: Sim) -> None:
        got: list[tuple[str, int]] = []

        async def reader(ctx: ProcessContext, name: str, count: int) -> None:
            for _ in range(count):
                got.append((name, (await ctx.inbox.receive()).payload))

        async def receiver(ctx: ProcessContext) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(reader, ctx, "a", 2)
                await trio.lowlevel.checkpoint()
                nursery.start_soon(reader, ctx, "b", 2)

        async def sender(ctx: ProcessContext, first: int) -> None:
            ctx.send("receiver", "n", first)
            ctx.send("receiver", "n", first + 1)

        await sim.spawn(receiver, name="receiver")
        await sim.settle()
        await sim.spawn(sender, 0)
        await sim.spawn(sender, 10)
        await sim.settle()
        assert sorted(number for _, number in got) == [0, 1, 10, 11]
        first = got[0][0]  # which task that is, Trio's order of tasks decides
        assert [name for name, _ in got] == [first, {"a": "b", "b": "a"}[first]] * 2

    test()
