"""Inbox, events and topic channels (processes.md §3; PY4, PY5)."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_actors import Host, Message, Node, ProcessContext, ProcessInvalid, ProcessTimeout

Seen = list[object]


def payloads(channel: trio.abc.ReceiveChannel[object]) -> Seen:
    """What can be read now; of Message objects their payloads."""
    seen: Seen = []
    while True:
        try:
            item = channel.receive_nowait()  # type: ignore[attr-defined]
        except (trio.WouldBlock, trio.EndOfChannel):
            return seen
        seen.append(item.payload if isinstance(item, Message) else item)


async def test_topic_goes_to_its_open_channel_also_while_that_is_empty(host: Host) -> None:
    """L2 (1): an open listen channel takes its topic, from the first message on."""

    async def reader(ctx: ProcessContext) -> Seen:
        inbox, channel = ctx.inbox, ctx.listen("a")
        for topic in ("a", "b", "a", "b"):
            ctx.send(ctx.pid, topic, topic)
        return [payloads(channel), payloads(inbox)]

    assert (await host.node.call(reader, host=host)) == [["a", "a"], ["b", "b"]]


async def test_topic_channel_works_without_inbox(host: Host) -> None:
    """L2 (1): the channel of a topic needs no open inbox."""

    async def reader(ctx: ProcessContext) -> Seen:
        channel = ctx.listen("a")
        ctx.send(ctx.pid, "a", 1)
        return payloads(channel)

    assert await host.node.call(reader, host=host) == [1]


async def test_topic_without_channel_goes_to_the_inbox(host: Host) -> None:
    """L2 (2), L17: any other topic lands in the inbox, `inbox` and `events` without @ too."""

    async def reader(ctx: ProcessContext) -> Seen:
        inbox = ctx.inbox
        ctx.listen("a")
        for topic in ("b", "inbox", "events", "ab", ""):
            ctx.send(ctx.pid, topic, topic)
        return payloads(inbox)

    assert await host.node.call(reader, host=host) == ["b", "inbox", "events", "ab", ""]


async def test_messages_wait_until_a_channel_opens(host: Host) -> None:
    """L2 (3), L4: nothing sent before the first access is lost, each opening takes what is its."""

    async def reader(ctx: ProcessContext) -> Seen:
        for number in range(6):
            ctx.send(ctx.pid, "ab"[number % 2], number)
        return [payloads(ctx.listen("b")), payloads(ctx.inbox)]

    assert await host.node.call(reader, host=host) == [[1, 3, 5], [0, 2, 4]]


async def test_inbox_keeps_what_it_holds_when_a_topic_opens(host: Host) -> None:
    """L4: what the inbox already holds does not move when listen is called later."""

    async def reader(ctx: ProcessContext) -> Seen:
        inbox = ctx.inbox
        ctx.send(ctx.pid, "a", "early")
        channel = ctx.listen("a")
        ctx.send(ctx.pid, "a", "late")
        return [payloads(inbox), payloads(channel)]

    assert await host.node.call(reader, host=host) == [["early"], ["late"]]


async def test_events_wait_until_they_are_opened(host: Host) -> None:
    """L3: control events go only to the events channel and wait for it."""

    async def reader(ctx: ProcessContext) -> Seen:
        inbox = ctx.inbox
        ctx.node.cancel(ctx.pid)
        return [payloads(inbox), [event.kind for event in (ctx.events.receive_nowait(),)]]

    assert await host.node.call(reader, host=host) == [[], ["pid.cancel"]]


async def test_one_slow_channel_holds_up_nobody(host: Host) -> None:
    """L5: channels are unbounded; an unread one does not stop another."""

    async def reader(ctx: ProcessContext) -> Seen:
        slow, quick = ctx.listen("slow"), ctx.listen("quick")
        for number in range(5000):
            ctx.send(ctx.pid, "slow", number)
        ctx.send(ctx.pid, "quick", "here")
        return [await quick.receive(), len(slow)]

    assert await host.node.call(reader, host=host) == ["here", 5000]


async def test_repeated_access_gives_the_identical_channel(host: Host) -> None:
    """L6: inbox, events and listen of one topic are one object each."""

    async def reader(ctx: ProcessContext) -> Seen:
        return [
            ctx.inbox is ctx.inbox,
            ctx.events is ctx.events,
            ctx.listen("a") is ctx.listen("a"),
            ctx.listen("a") is ctx.listen("b"),
        ]

    assert await host.node.call(reader, host=host) == [True, True, True, False]


async def test_inbox_gives_messages_and_topics_give_payloads(host: Host) -> None:
    """L7, L15: inbox yields Message objects, listen payloads, listen(message=True) Messages."""

    async def reader(ctx: ProcessContext) -> Seen:
        raw, whole = ctx.listen("raw"), ctx.listen("whole", message=True)
        for topic in ("raw", "whole", "other"):
            ctx.send(ctx.pid, topic, topic.upper())
        return [await raw.receive(), await whole.receive(), await ctx.inbox.receive()]

    pid = await host.spawn(reader)
    assert (await host.node.wait(pid)).value == [
        "RAW",
        Message("whole", pid, "WHOLE"),
        Message("other", pid, "OTHER"),
    ]


async def test_message_shows_itself() -> None:
    """L15: the text of a message begins with `process.Message{`."""
    assert repr(Message("t", None, 1)).startswith("process.Message{")


async def test_listening_again_can_switch_to_messages_but_not_back(host: Host) -> None:
    """L8: message=True switches all later reads; without it nothing switches back."""

    async def reader(ctx: ProcessContext) -> Seen:
        channel = ctx.listen("a")
        for number in (1, 2, 3):
            ctx.send(ctx.pid, "a", number)
        first = await channel.receive()
        ctx.listen("a", message=True)
        second = await channel.receive()
        ctx.listen("a")
        return [first, second.payload, (await channel.receive()).payload]

    assert await host.node.call(reader, host=host) == [1, 2, 3]


async def test_listen_refuses_reserved_and_empty_topics(host: Host) -> None:
    """L9: `@` topics and the empty one are INVALID, another type raises TypeError."""

    async def reader(ctx: ProcessContext) -> None:
        with pytest.raises(ProcessInvalid, match=r"^cannot listen to @ topics$"):
            ctx.listen("@inbox")
        with pytest.raises(ProcessInvalid, match=r"^topic cannot be empty$"):
            ctx.listen("")
        with pytest.raises(TypeError):
            ctx.listen(5)  # type: ignore[arg-type]

    await host.node.call(reader, host=host)


async def test_closing_lets_queued_values_be_read_then_ends(host: Host) -> None:
    """L10, L13, PY5: what is queued can be read after close, then EndOfChannel; repeatable."""

    async def reader(ctx: ProcessContext) -> Seen:
        channel = ctx.listen("a")
        ctx.send(ctx.pid, "a", 1)
        channel.close()
        channel.close()
        await channel.aclose()
        ctx.send(ctx.pid, "a", 2)
        got = [await channel.receive()]
        with pytest.raises(trio.EndOfChannel):
            await channel.receive()
        with pytest.raises(trio.EndOfChannel):
            channel.receive_nowait()
        return [*got, payloads(ctx.inbox)]

    assert await host.node.call(reader, host=host) == [1, [2]]


@pytest.mark.parametrize("which", ["inbox", "events", "topic"])
async def test_closing_wakes_every_waiting_task(host: Host, which: str) -> None:
    """L10, L12, PY5: closing wakes all waiting tasks; their `async for` ends."""

    async def reader(ctx: ProcessContext) -> int:
        channel = ctx.listen("a") if which == "topic" else getattr(ctx, which)
        ended = 0

        async def wait() -> None:
            nonlocal ended
            async for _ in channel:
                raise AssertionError
            ended += 1

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            channel.close()
        return ended

    assert await host.node.call(reader, host=host) == 3


async def test_listen_after_close_opens_a_new_channel(host: Host) -> None:
    """L12: a new channel, while the closed one stays closed."""

    async def reader(ctx: ProcessContext) -> Seen:
        old = ctx.listen("a")
        old.close()
        new = ctx.listen("a")
        ctx.send(ctx.pid, "a", 1)
        old.close()
        return [new is old, payloads(old), payloads(new)]

    assert await host.node.call(reader, host=host) == [False, [], [1]]


async def test_channel_as_context_manager_unlistens(host: Host) -> None:
    """§15 table: a listen channel is an async context manager that unlistens."""

    async def reader(ctx: ProcessContext) -> Seen:
        async with ctx.listen("a") as channel:
            ctx.send(ctx.pid, "a", 1)
            first = await channel.receive()
        ctx.send(ctx.pid, "a", 2)
        return [first, payloads(ctx.inbox)]

    assert await host.node.call(reader, host=host) == [1, [2]]


async def test_exit_closes_channels_and_discards(host: Host) -> None:
    """L14: at the end of the process its channels are closed and empty."""
    kept = []

    async def reader(ctx: ProcessContext) -> None:
        kept.extend([ctx.inbox, ctx.events, ctx.listen("a")])
        for topic in ("a", "b"):
            ctx.send(ctx.pid, topic, 1)

    await host.node.call(reader, host=host)
    for channel in kept:
        with pytest.raises(trio.EndOfChannel):
            channel.receive_nowait()


async def test_waiting_message_is_seen_by_receive_nowait(host: Host) -> None:
    """L16: a message that waits makes the channel ready; otherwise WouldBlock."""

    async def reader(ctx: ProcessContext) -> object:
        ctx.send(ctx.pid, "x", 1)
        message = ctx.inbox.receive_nowait()
        with pytest.raises(trio.WouldBlock):
            ctx.inbox.receive_nowait()
        return message.payload

    assert await host.node.call(reader, host=host) == 1


async def test_each_message_goes_to_the_longest_waiting_task(host: Host) -> None:
    """PY4: of several waiting tasks the longest waiting one is served first."""

    async def reader(ctx: ProcessContext) -> Seen:
        got: Seen = []

        async def wait(who: str) -> None:
            got.append((who, (await ctx.inbox.receive()).payload))

        async with trio.open_nursery() as nursery:
            for who in "abc":
                nursery.start_soon(wait, who)
                await wait_all_tasks_blocked()
            for number in range(3):
                ctx.send(ctx.pid, "x", number)
        return sorted(got, key=str)

    for _ in range(20):
        assert await host.node.call(reader, host=host) == [("a", 0), ("b", 1), ("c", 2)]


async def test_cancelled_waiter_loses_no_message(host: Host) -> None:
    """PY4, L5: a task that gave up waiting takes nothing with it; the next one is served."""

    async def reader(ctx: ProcessContext) -> Seen:
        got: Seen = []

        async def wait() -> None:
            got.append((await ctx.inbox.receive()).payload)

        async with trio.open_nursery() as nursery:
            with trio.move_on_after(1):
                await ctx.inbox.receive()
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            with trio.move_on_after(1) as scope:
                async with trio.open_nursery() as inner:
                    inner.start_soon(wait)
                    await wait_all_tasks_blocked()
                    inner.cancel_scope.cancel()
            assert not scope.cancelled_caught
            ctx.send(ctx.pid, "x", 1)
        return got

    assert await host.node.call(reader, host=host) == [1]


async def test_selective_receive_leaves_others_in_order(host: Host) -> None:
    """`receive(topic | type | condition)` takes the first that fits, others stay."""

    async def reader(ctx: ProcessContext) -> Seen:
        for number, topic in enumerate("abcab"):
            ctx.send(ctx.pid, topic, number)
        by_topic = (await ctx.receive("b")).payload
        by_condition = (await ctx.receive(lambda m: m.payload == 3)).payload
        by_type = (await ctx.receive(int)).payload
        return [by_topic, by_condition, by_type, payloads(ctx.inbox)]

    assert await host.node.call(reader, host=host) == [1, 3, 0, [2, 4]]


async def test_selective_receive_sees_messages_behind_one_meant_for_another_task(
    host: Host,
) -> None:
    """A message behind one that a woken task is about to take is found, not waited for."""

    async def reader(ctx: ProcessContext) -> Seen:
        inbox = ctx.inbox
        got: Seen = []

        async def wait() -> None:
            got.append((await inbox.receive()).payload)

        async def select() -> None:
            got.append((await ctx.receive("b")).payload)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            nursery.start_soon(select)
            ctx.send(ctx.pid, "a", 1)
            ctx.send(ctx.pid, "b", 2)
        return sorted(got, key=str)

    for _ in range(20):
        assert await host.node.call(reader, host=host) == [1, 2]


async def test_receive_times_out_with_process_timeout(node: Node, host: Host) -> None:
    """`receive(timeout=)` raises ProcessTimeout and loses nothing."""

    async def reader(ctx: ProcessContext) -> Seen:
        with pytest.raises(ProcessTimeout):
            await ctx.receive("a", timeout="2s")
        ctx.send(ctx.pid, "a", 1)
        return [trio.current_time() - began, payloads(ctx.inbox)]

    began = trio.current_time()
    assert await node.call(reader, host=host) == [2.0, [1]]


async def test_who_takes_anything_and_waits_longer_is_served_before_a_condition(
    host: Host,
) -> None:
    """PY4: longest waiting first, whatever the tasks wait for."""
    got: list[tuple[str, object]] = []

    async def body(ctx: ProcessContext) -> None:
        async def anything(name: str) -> None:
            got.append((name, (await ctx.receive()).payload))

        async def some() -> None:
            got.append(("some", (await ctx.receive("t")).payload))

        async with trio.open_nursery() as nursery:
            for task in (lambda: anything("first"), some, lambda: anything("last")):
                nursery.start_soon(task)
                await trio.testing.wait_all_tasks_blocked()
            for topic, number in [("t", 1), ("u", 2), ("t", 3)]:
                ctx.send(ctx.pid, topic, number)
                await trio.testing.wait_all_tasks_blocked()

    await host.node.call(body, host=host)
    assert got == [("first", 1), ("last", 2), ("some", 3)]


async def test_a_condition_that_fails_harms_who_waits_not_who_sends(host: Host) -> None:
    """The message goes on to the next; the error is raised where the condition was given."""
    caught: list[str] = []

    async def body(ctx: ProcessContext) -> object:
        async def picky() -> None:
            try:
                await ctx.receive(lambda message: message.payload["n"] == 1)
            except TypeError:
                caught.append("in the task that waits")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(picky)
            await trio.testing.wait_all_tasks_blocked()
            ctx.send(ctx.pid, "t", 5)
        return (await ctx.receive()).payload

    assert await host.node.call(body, host=host) == 5
    assert caught == ["in the task that waits"]
