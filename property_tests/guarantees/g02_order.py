"""Guarantee 2: Order."""

from __future__ import annotations

import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import ProcessContext
from trio_actors.testing import Sim, explore


@guarantee
def messages_of_a_pair_arrive_in_order() -> None:
    """M12, also when they are many, wait before the inbox opens, or are read late (L4, M13)."""

    @explore(schedules=times(15), report=("text",))
    async def test(sim: Sim) -> None:
        got: dict[str, list[int]] = {}

        async def receiver(ctx: ProcessContext) -> None:
            await trio.sleep(1)
            async for message in ctx.inbox:
                got.setdefault(message.sender or "", []).append(message.payload)

        async def sender(ctx: ProcessContext) -> None:
            for number in range(40):
                ctx.send("receiver", "n", number)

        await sim.spawn(receiver, name="receiver")
        await sim.spawn(sender)
        await sim.spawn(sender)
        await sim.settle()
        assert list(got.values()) == [list(range(40))] * 2

    test()
