"""Guarantee 5: Success is no receipt."""

from __future__ import annotations

import pytest
import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import (
    ProcessContext,
    ProcessInvalid,
    ProcessNotFound,
)
from trio_actors.testing import Sim, explore


@guarantee
def a_refused_send_says_why() -> None:
    """M3-M6, M16: in the order of the checks, with the message inside the error."""

    @explore(schedules=1, report=("text",))
    async def test(sim: Sim) -> None:
        async def idle(ctx: ProcessContext) -> None:
            await trio.sleep_forever()

        async def sender(ctx: ProcessContext) -> None:
            with pytest.raises(ProcessInvalid, match="cannot send to @ topics"):
                ctx.send("nobody", "@inbox")
            with pytest.raises(ProcessNotFound, match="could not resolve 'nobody'") as caught:
                ctx.send("nobody", "t", 7)
            assert caught.value.undelivered.payload == 7
            with pytest.raises(ProcessNotFound, match="process not found"):
                ctx.send("{h0|0x0ffff}", "t")
            with pytest.raises(ProcessNotFound, match="host not found"):
                ctx.send("{elsewhere|0x00001}", "t")
            with pytest.raises(ProcessInvalid, match="topic cannot be empty"):
                ctx.listen("")
            with pytest.raises(ProcessInvalid, match="cannot listen to @ topics"):
                ctx.listen("@x")

        await sim.spawn(idle)
        await sim.call(sender)

    test()


@guarantee
def a_message_is_read_or_discarded_or_in_the_error() -> None:
    """M7, M14: whatever happens first, the end of the receiver or the message."""

    @explore(schedules=times(40), report=("text",))
    async def test(sim: Sim) -> None:
        read: list[int] = []
        refused: list[int] = []

        async def receiver(ctx: ProcessContext) -> None:
            message = await ctx.inbox.receive()
            read.append(message.payload)

        async def sender(ctx: ProcessContext, number: int) -> None:
            try:
                ctx.send(pid, "n", number)
            except ProcessNotFound as error:
                refused.append(error.undelivered.payload)

        pid = await sim.spawn(receiver, name="receiver")
        for number in range(3):
            await sim.spawn(sender, number)
        await sim.settle()
        assert len(read) == 1
        assert not set(read) & set(refused)
        assert len(refused) == len(set(refused))
        sim.sometimes("an error holds the message", refused)
        sim.sometimes("a message is discarded", len(read) + len(refused) < 3)

    test()
