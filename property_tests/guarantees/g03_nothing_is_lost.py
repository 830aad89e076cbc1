"""Guarantee 3: Nothing is lost between mailbox and reader."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import times
from trio_actors import ProcessContext, ProcessError
from trio_actors.testing import Sim, explore


@guarantee
def topics_go_to_their_channels() -> None:
    """L2, L4, L7, L10: the topic's channel, else the inbox; nothing sent before is lost."""

    @explore(schedules=times(15), report=("text",))
    async def test(sim: Sim) -> None:
        got: list[Any] = []

        async def receiver(ctx: ProcessContext) -> None:
            await trio.sleep(1)
            topic = ctx.listen("a")
            assert ctx.listen("a") is topic
            got.append([await topic.receive() for _ in range(2)])
            inbox = ctx.inbox
            got.append([(await inbox.receive()).topic for _ in range(2)])
            topic.close()
            topic.close()
            await trio.sleep(1)
            got.append((await inbox.receive()).topic)
            with pytest.raises(trio.WouldBlock):
                inbox.receive_nowait()
            with pytest.raises(trio.EndOfChannel):
                await topic.receive()

        await sim.spawn(receiver, name="r")
        for topic, value in [("a", 1), ("b", 2), ("a", 3), ("c", 4)]:
            sim.send("r", topic, value)
        await sim.run_for(1.5)
        sim.send("r", "a", 5)
        await sim.settle()
        assert got == [[1, 3], ["b", "c"], "a"]

    test()


@guarantee
def selective_receive_keeps_the_rest_in_order() -> None:
    """`receive(wanted)` takes the first that fits; a timeout is an error, nothing is lost."""

    @explore(schedules=times(15), report=("text",))
    async def test(sim: Sim) -> None:
        got: list[Any] = []

        async def receiver(ctx: ProcessContext) -> None:
            got.append((await ctx.receive("b")).payload)
            got.append((await ctx.receive(lambda m: m.payload == 3)).payload)
            try:
                await ctx.receive("never", timeout=2)
            except ProcessError as error:
                got.append(str(error.kind))
            got.extend([(await ctx.receive()).payload for _ in range(2)])

        await sim.spawn(receiver, name="r")
        for topic, value in [("a", 1), ("b", 2), ("a", 3), ("a", 4)]:
            sim.send("r", topic, value)
        await sim.settle()
        assert got == [2, 3, "Timeout", 1, 4]

    test()
