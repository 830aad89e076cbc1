"""What is promised about messages."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from property_tests.guarantees.registry import guarantee
from trio_actors import ProcessContext, ProcessError, ProcessInvalid, ProcessNotFound
from trio_actors.testing import Sim, explore


@guarantee
def messages_of_a_pair_arrive_in_order() -> None:
    """M12, also when they are many, wait before the inbox opens, or are read late (L4, M13)."""

    @explore(schedules=15, report=("text",))
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


@guarantee
def topics_go_to_their_channels() -> None:
    """L2, L4, L7, L10: the topic's channel, else the inbox; nothing sent before is lost."""

    @explore(schedules=15, report=("text",))
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
def several_values_are_one_message() -> None:
    """M30-M33 and the sender."""

    @explore(schedules=3, report=("text",))
    async def test(sim: Sim) -> None:
        got: list[Any] = []

        async def receiver(ctx: ProcessContext) -> None:
            async for message in ctx.inbox:
                got.append((message.sender, message.payload))

        async def sender(ctx: ProcessContext) -> None:
            ctx.send("r", "t")
            ctx.send("r", "t", 1)
            ctx.send("r", "t", 1, None, 3)

        await sim.spawn(receiver, name="r")
        pid = await sim.spawn(sender)
        await sim.settle()
        assert got == [(pid, None), (pid, 1), (pid, [1, None, 3])]

    test()


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
def selective_receive_keeps_the_rest_in_order() -> None:
    """`receive(wanted)` takes the first that fits; a timeout is an error, nothing is lost."""

    @explore(schedules=15, report=("text",))
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


@guarantee
def an_upgrade_keeps_pid_name_links_and_unread_messages() -> None:
    """U1-U6, V6: in arrival order, from inbox, topics and events; trap_links is off again."""

    @explore(schedules=10, report=("text",))
    async def test(sim: Sim) -> None:
        got: list[Any] = []

        async def second(ctx: ProcessContext, state: int) -> None:
            got.append((state, ctx.options.trap_links, ctx.lookup("me") == ctx.pid))
            await trio.sleep(1)
            event = await ctx.events.receive()
            got.append(str(event.kind))
            got.extend([(await ctx.inbox.receive()).payload for _ in range(3)])

        async def first(ctx: ProcessContext) -> None:
            ctx.options.trap_links = True
            ctx.listen("t")
            _ = ctx.inbox, ctx.events
            await trio.sleep(1)
            await ctx.upgrade(second, 9)

        async def watcher(ctx: ProcessContext) -> None:
            event = await ctx.events.receive()
            got.append(("watched", event.result.error is None))

        watching = await sim.spawn(watcher)
        pid = await sim.spawn(first, name="me", monitor=watching)
        await sim.run_for(0.5)
        for topic, value in [("t", 1), ("u", 2), ("t", 3)]:
            sim.send("me", topic, value)
        sim.node.cancel(pid)
        await sim.settle()
        assert got == [(9, False, True), "pid.cancel", 1, 2, 3, ("watched", True)]

    test()
