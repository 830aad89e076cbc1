"""Limits, dead letters, monitor handles, timers, child tasks and groups."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import pytest
import trio

import trio_actors
from trio_actors import Ask, Bounded, GroupChange, Host, Node, ProcessContext, Server, handles


async def reader(ctx: ProcessContext) -> list[Any]:
    """Reads three messages when told to."""
    await ctx.events.receive()
    return [(await ctx.inbox.receive()).payload for _ in range(3)]


@attrs.frozen
class Seen(Ask[list[int]]):
    pass


class Collector(Server):
    def init(self) -> None:
        self.seen: list[int] = []

    @handles("n")
    def take(self, message: trio_actors.Message) -> None:
        self.seen.append(message.payload)

    @handles(Seen)
    def get(self, request: Seen) -> list[int]:
        return list(self.seen)


# -- limits


async def test_reject_gives_the_message_back(node: Node, host: Host) -> None:
    """A full mailbox refuses: ProcessUnavailable, retryable, the message inside."""
    pid = await host.spawn(reader, mailbox=Bounded(2))
    node.send(pid, "n", 1)
    node.send(pid, "n", 2)
    with pytest.raises(trio_actors.ProcessUnavailable, match=r"full \(limit=2\)") as caught:
        node.send(pid, "n", 3)
    assert caught.value.retryable is True
    assert caught.value.undelivered is not None
    assert caught.value.undelivered.payload == 3


async def test_drop_new_keeps_the_oldest(
    node: Node, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """drop_new: what comes too late is a dead letter."""
    letters: list[Any] = []
    node.dead_letters.watch(lambda letter: letters.append(letter.message.payload))
    pid = await host.spawn(reader, mailbox=Bounded(3, overflow="drop_new"))
    for n in range(6):
        node.send(pid, "n", n)
    node.cancel(pid)
    assert (await node.wait(pid)).value == [0, 1, 2]
    assert letters == [3, 4, 5]
    assert node.statistics().dead_letters == 3
    assert len([r for r in caplog.records if r.name == "trio_actors.dead_letters"]) == 1


async def test_dead_letters_say_how_many_they_are(node: Node, host: Host) -> None:
    """All that there were, and those that can still be looked at."""
    assert repr(node.dead_letters) == "<DeadLetters 0, the last 0 kept>"
    pid = await host.spawn(reader, mailbox=Bounded(1, overflow="drop_new"))
    for n in range(121):
        node.send(pid, "n", n)
    assert repr(node.dead_letters) == "<DeadLetters 120, the last 100 kept>"


async def test_drop_old_keeps_the_newest(node: Node, host: Host) -> None:
    """drop_old: the oldest unread message makes room."""
    pid = await host.spawn(reader, mailbox=Bounded(3, overflow="drop_old"))
    for n in range(6):
        node.send(pid, "n", n)
    node.cancel(pid)
    assert (await node.wait(pid)).value == [3, 4, 5]
    assert [letter.message.payload for letter in node.dead_letters.recent] == [0, 1, 2]


async def test_control_events_are_never_limited(node: Node, host: Host) -> None:
    """CANCEL reaches a process whose mailbox is full."""
    pid = await host.spawn(reader, mailbox=Bounded(3))
    for n in range(3):
        node.send(pid, "n", n)
    for _ in range(5):
        node.cancel(pid)
    assert (await node.wait(pid)).value == [0, 1, 2]


@pytest.mark.parametrize("server", [False, True], ids=["function", "server"])
async def test_block_makes_senders_wait_in_line(node: Node, host: Host, server: bool) -> None:
    """asend waits for room, first come, first served; nothing is lost or doubled."""

    async def slow(ctx: ProcessContext) -> list[int]:
        return [(await ctx.inbox.receive()).payload for _ in range(60)]

    bounds = Bounded(4, overflow="block")
    pid = await host.spawn(Collector if server else slow, mailbox=bounds)
    if server:
        trio_actors.sys.suspend(node, pid)

    async def produce(ctx: ProcessContext, first: int) -> None:
        for n in range(20):
            await ctx.asend(pid, "n", first + n)

    producers = [await host.spawn(produce, first) for first in (0, 100, 200)]
    await trio.testing.wait_all_tasks_blocked()
    if server:
        assert trio_actors.sys.view(node, pid).mailbox == 4
        trio_actors.sys.resume(node, pid)
    for producer in producers:
        await node.wait(producer)
    got = await node.ask(pid, Seen()) if server else (await node.wait(pid)).value
    for first in (0, 100, 200):
        assert [n for n in got if first <= n < first + 100] == list(range(first, first + 20))


async def test_a_waiting_sender_that_was_overtaken_stays_the_first(node: Node, host: Host) -> None:
    """A plain send may take the room that a waiting sender was woken for; it loses no place."""

    async def body(ctx: ProcessContext) -> list[Any]:
        await ctx.events.receive()
        got = [(await ctx.inbox.receive()).payload]
        ctx.send(ctx.pid, "n", "plain")
        return got + [(await ctx.inbox.receive()).payload for _ in range(3)]

    async def sender(ctx: ProcessContext, value: str) -> None:
        await ctx.asend(pid, "n", value)

    pid = await host.spawn(body, mailbox=Bounded(1, overflow="block"))
    for value in ("full", "first", "second"):
        await host.spawn(sender, value)
        await trio.testing.wait_all_tasks_blocked()
    node.cancel(pid)
    assert (await node.wait(pid)).value == ["full", "plain", "first", "second"]


async def test_a_plain_send_to_a_full_blocking_mailbox_is_refused(node: Node, host: Host) -> None:
    """`send` never waits, so it cannot keep the promise of `block`."""
    pid = await host.spawn(reader, mailbox=Bounded(1, overflow="block"))
    node.send(pid, "n", 1)
    with pytest.raises(trio_actors.ProcessUnavailable):
        node.send(pid, "n", 2)


async def test_nobody_waits_for_room_in_his_own_mailbox(node: Node, host: Host) -> None:
    """It would wait for ever."""

    async def body(ctx: ProcessContext) -> None:
        ctx.send(ctx.pid, "n", 1)
        await ctx.asend(ctx.pid, "n", 2)

    pid = await host.spawn(body, mailbox=Bounded(1, overflow="block"))
    end = await node.wait(pid)
    assert isinstance(end.error, trio_actors.ProcessInvalid)


async def test_a_waiting_sender_learns_of_the_end(node: Node, host: Host) -> None:
    """The receiver's end wakes it with NOT_FOUND."""
    pid = await host.spawn(reader, mailbox=Bounded(1, overflow="block"))
    node.send(pid, "n", 1)

    async def sender(ctx: ProcessContext) -> None:
        await ctx.asend(pid, "n", 2)

    waiting = await host.spawn(sender)
    await trio.testing.wait_all_tasks_blocked()
    node.terminate(pid)
    assert isinstance((await node.wait(waiting)).error, trio_actors.ProcessNotFound)


async def test_a_timer_of_a_full_mailbox_harms_nobody(
    node: Node, host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """Nobody can be told that a timer's message was refused: it is a dead letter."""

    async def ticking(ctx: ProcessContext) -> list[str]:
        ctx.send_interval(1, "tick")
        ctx.send_after(1.5, "once")
        await trio.sleep(3.2)
        return [(await ctx.receive()).topic for _ in range(2)]

    pid = await host.spawn(ticking, mailbox=Bounded(1))
    assert (await node.wait(pid)).value == ["tick", "tick"]
    lost = [(letter.to, letter.message.topic, letter.reason) for letter in node.dead_letters.recent]
    assert lost == [(pid, topic, "mailbox is full (limit=1)") for topic in ("once", "tick", "tick")]


async def test_a_full_mailbox_is_no_harm_to_the_groups_that_it_watches(
    node: Node, host: Host
) -> None:
    """Who joins, leaves or ends has nothing to do with it: the news is a dead letter."""

    async def watcher(ctx: ProcessContext) -> None:
        ctx.watch_group("g")
        ctx.send(ctx.pid, "full")
        await trio.sleep_forever()

    async def member(ctx: ProcessContext, leaves: bool) -> str:
        ctx.join("g")
        if leaves:
            ctx.leave("g")
        return "unharmed"

    await host.spawn(watcher, mailbox=Bounded(1))
    await trio.testing.wait_all_tasks_blocked()
    for leaves in (True, False):
        assert await node.call(member, leaves, host=host) == "unharmed"
    changes = [letter.message.payload for letter in node.dead_letters.recent]
    assert [(bool(change.joined), bool(change.left)) for change in changes] == [
        (True, False),
        (False, True),
    ] * 2


@pytest.mark.parametrize("target", [reader, Collector])
async def test_a_spawn_whose_first_messages_do_not_fit_makes_nothing(
    node: Node, host: Host, target: Any
) -> None:
    """B6, B7: no process, no name, no place on the host; the next one succeeds."""
    with pytest.raises(trio_actors.ProcessUnavailable, match="mailbox is full"):
        await host.spawn(
            target, name="it", messages=[("n", 1), ("n", 2)], mailbox=Bounded(1), ready=True
        )
    assert (host.alive, list(node.processes), node.exits.total) == (0, [], 0)
    with pytest.raises(trio_actors.ProcessNotFound):
        node.lookup("it")
    await host.spawn(target, name="it", messages=[("n", 1)], mailbox=Bounded(1))


@pytest.mark.parametrize(
    ("limit", "overflow", "text"),
    [(0, "reject", "at least 1"), (1, "explode", "must be one of reject, drop_new")],
)
def test_wrong_bounds_cannot_be_made(limit: int, overflow: Any, text: str) -> None:
    """Bounded checks its fields."""
    with pytest.raises(trio_actors.ProcessInvalid, match=text):
        Bounded(limit, overflow=overflow)


# -- monitors as handles


async def test_monitoring_gives_the_exit(node: Node, host: Host) -> None:
    """`await down` is how the process ended; no EXIT event comes besides."""

    async def child(ctx: ProcessContext) -> int:
        await ctx.inbox.receive()
        return 7

    async def body(ctx: ProcessContext) -> Any:
        pid = await ctx.spawn(child)
        async with ctx.monitoring(pid) as down:
            ctx.send(pid, "go")
            exit = await down
            again = await down
        with pytest.raises(trio.WouldBlock):
            ctx.events.receive_nowait()
        return exit.value, again.value

    assert await node.call(body, host=host) == (7, 7)


async def test_monitoring_a_dead_process_fails(node: Node, host: Host) -> None:
    """N2 for handles: NOT_FOUND."""

    async def body(ctx: ProcessContext) -> None:
        async with ctx.monitoring("{app:main|0x0ffff}"):
            pass

    with pytest.raises(trio_actors.ProcessNotFound, match="pid not registered"):
        await node.call(body, host=host)


async def test_what_raises_at_once_is_a_checkpoint_as_well(host: Host) -> None:
    """PY1: a malformed timeout, monitors of nobody, a call without functions."""

    async def enter(block: Any) -> None:
        async with block:
            raise AssertionError

    async def body(ctx: ProcessContext) -> int:
        calls: list[Any] = [
            lambda: ctx.receive(timeout="bogus"),
            lambda: ctx.receive(timeout=-1),
            lambda: enter(ctx.monitoring("nobody")),
            lambda: enter(ctx.monitoring_all([ctx.pid, "{app:main|0xfffff}"])),
            lambda: ctx.call_function("app:f"),
        ]
        for call in calls:
            with trio.testing.assert_checkpoints(), pytest.raises(trio_actors.ProcessError):
                await call()
        return len(calls)

    assert await host.node.call(body, host=host) == 5


async def test_a_block_of_monitors_is_a_checkpoint_that_takes_back_what_it_made(
    node: Node, host: Host
) -> None:
    """PY1: others run before its body does; cancelled there, nothing is left of it."""

    async def child(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()

    async def body(ctx: ProcessContext) -> list[Any]:
        with trio.testing.assert_checkpoints():
            async with ctx.monitoring(pid):
                watched = len(node.processes[pid].watchers())
        with trio.CancelScope() as scope:
            scope.cancel()
            async with ctx.monitoring(pid):
                raise AssertionError
        return [watched, scope.cancelled_caught, node.processes[pid].watchers()]

    pid = await host.spawn(child)
    assert await node.call(body, host=host) == [1, True, []]


async def test_many_monitors_come_in_the_order_of_the_ends(
    node: Node, host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """monitoring_all yields each handle once, then stops."""

    async def child(ctx: ProcessContext, seconds: float) -> float:
        await trio.sleep(seconds)
        return seconds

    async def body(ctx: ProcessContext) -> list[Any]:
        pids = [await ctx.spawn(child, s) for s in (3, 1, 2)]
        async with ctx.monitoring_all(pids) as downs:
            return [down.exit.value async for down in downs if down.exit]

    assert await node.call(body, host=host) == [1, 2, 3]


# -- timers


async def test_send_after_and_interval(
    node: Node, host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """Messages come at their times; an interval does not drift."""

    async def body(ctx: ProcessContext) -> list[Any]:
        ctx.send_after("2500ms", "once", "x")
        ctx.send_interval(1, "tick")
        got = []
        for _ in range(5):
            message = await ctx.inbox.receive()
            got.append((trio.current_time(), message.topic))
            await trio.sleep(0.1)
        return got

    assert await node.call(body, host=host) == [
        (1, "tick"),
        (2, "tick"),
        (2.5, "once"),
        (3, "tick"),
        (4, "tick"),
    ]


async def test_a_cancelled_timer_is_never_delivered_late(
    node: Node, host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """TS2: Not even when it has fired and the message lies unread."""

    async def body(ctx: ProcessContext) -> int:
        inbox = ctx.inbox
        key = ctx.send_after(1, "late", key="k")
        assert key == "k"
        await trio.sleep(2)
        assert len(inbox) == 1
        assert ctx.cancel_timer("k") is True
        assert ctx.cancel_timer("k") is False
        return len(inbox)

    assert await node.call(body, host=host) == 0


@pytest.mark.parametrize("where", ["inbox", "listen", "bounded"])
async def test_a_cancelled_interval_takes_back_all_that_is_unread(
    host: Host, autojump_clock: trio.testing.MockClock, where: str
) -> None:
    """TS2: however many of its messages have come, and wherever they wait; those read stay."""

    async def body(ctx: ProcessContext) -> list[str]:
        channel = ctx.listen("tick", message=True) if where == "listen" else ctx.inbox
        key = ctx.send_interval(1, "tick")
        ctx.send_interval(1, "other")
        assert (await channel.receive()).topic == "tick"
        await trio.sleep(2.5)
        assert ctx.cancel_timer(key) is True
        assert ctx.cancel_timer(key) is False
        await trio.sleep(2)
        channels = {channel, ctx.inbox}
        return [message.topic for each in channels for message in each.unread()]

    mailbox = Bounded(100) if where == "bounded" else None
    pid = await host.spawn(body, mailbox=mailbox)
    assert (await host.node.wait(pid)).value == 5 * ["other"]


async def test_a_cancelled_interval_takes_back_what_a_server_has_not_handled(
    host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """TS2: its queue is looked through as well."""

    class Ticked(Server):
        async def init(self) -> None:  # type: ignore[override]
            self.ticks = 0
            self.key = self.ctx.send_interval(1, "tick")

        @handles("slow")
        async def slow(self, message: trio_actors.Message) -> None:
            await trio.sleep(3.5)
            assert self.ctx.cancel_timer(self.key) is True

        @handles("tick")
        async def tick(self, message: trio_actors.Message) -> None:
            self.ticks += 1

    pid = await host.spawn(Ticked)
    await trio.sleep(0.5)
    host.node.send(pid, "slow")
    await trio.sleep(10)
    assert trio_actors.sys.get_state(host.node, pid)["ticks"] == 0


async def test_a_key_replaces_its_timer(
    node: Node, host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """Arming a key again is a restart."""

    async def body(ctx: ProcessContext) -> tuple[float, Any]:
        ctx.send_after(1, "t", "old", key="k")
        await trio.sleep(0.5)
        ctx.send_after(1, "t", "new", key="k")
        message = await ctx.inbox.receive()
        return trio.current_time(), message.payload

    assert await node.call(body, host=host) == (1.5, "new")


async def test_timers_end_with_their_process(
    node: Node, host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """Nothing is left in the node's clock."""

    async def body(ctx: ProcessContext) -> None:
        ctx.send_interval(1, "tick")

    await node.call(body, host=host)
    await trio.sleep(5)
    assert node.clock.next_due() == float("inf")


# -- child tasks


async def test_child_tasks_end_before_their_process(node: Node, host: Host) -> None:
    """They are cancelled when the code has ended, and unwind before the exit is told."""
    log: list[str] = []

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            log.append("unwound")

    async def body(ctx: ProcessContext) -> str:
        ctx.start_task(child)
        await trio.testing.wait_all_tasks_blocked()
        return "done"

    assert await node.call(body, host=host) == "done"
    assert log == ["unwound"]


async def test_a_failing_child_task_fails_the_process(node: Node, host: Host) -> None:
    """With the child's error."""

    async def child() -> None:
        raise trio_actors.ProcessConflict("no", details={"a": 1})

    async def body(ctx: ProcessContext) -> None:
        ctx.start_task(child)
        await trio.sleep_forever()

    with pytest.raises(trio_actors.ProcessConflict, match="no") as caught:
        await node.call(body, host=host)
    assert caught.value.details == {"a": 1}


# -- groups


async def test_groups_follow_joins_leaves_and_ends(node: Node, host: Host) -> None:
    """Watchers see every change; broadcast reaches every member but the sender."""

    async def member(ctx: ProcessContext) -> Any:
        ctx.join("workers")
        ctx.join("workers")
        return (await ctx.inbox.receive()).payload

    async def watcher(ctx: ProcessContext) -> Any:
        ctx.join("workers")
        assert ctx.watch_group("workers") == [ctx.pid]
        pids = [await ctx.spawn(member, host=host) for _ in range(2)]
        changes = [(await ctx.inbox.receive()).payload for _ in range(2)]
        assert changes == [GroupChange("workers", joined=(pid,)) for pid in pids]
        assert ctx.members("workers") == [ctx.pid, *pids]
        assert ctx.broadcast("workers", "job", 5) == 2
        ended = {(await ctx.inbox.receive()).payload.left[0] for _ in range(2)}
        assert ended == set(pids)
        assert ctx.leave("workers") is True
        assert ctx.leave("workers") is False
        return ctx.members("workers")

    assert await node.call(watcher, host=host) == []
    assert node.members("workers") == []


# -- looking inside


async def test_a_trace_sees_everything_in_order_and_survives_an_upgrade(
    node: Node, host: Host
) -> None:
    """Messages and events, also of code that the process goes on with; a limit still holds."""

    class Next(Collector):
        def migrate(self, old_version: int, state: Any) -> None:
            self.seen = []

    class First(Collector):
        @handles("upgrade")
        def go_on(self, message: trio_actors.Message) -> None:
            self.upgrade(Next)

        @handles(trio_actors.EventKind.EXIT)
        def told(self, event: trio_actors.Event) -> None:
            self.seen.append(0)

        @handles("watch")
        def watch(self, message: trio_actors.Message) -> None:
            self.ctx.monitor(message.payload)

    other = await host.spawn(reader)
    pid = await host.spawn(First, mailbox=Bounded(2), ready=True)
    seen: list[Any] = []

    def sink(item: trio_actors.Message | trio_actors.Event) -> None:
        seen.append(item.topic if isinstance(item, trio_actors.Message) else item.kind.value)

    with trio_actors.sys.trace(node, pid, sink):
        node.send(pid, "watch", other)
        await trio.testing.wait_all_tasks_blocked()
        node.terminate(other)
        await trio.testing.wait_all_tasks_blocked()
        node.send(pid, "upgrade")
        await trio.testing.wait_all_tasks_blocked()
        node.send(pid, "n", 1)
        assert await node.ask(pid, Seen()) == [1]
        await node.asend(pid, "n", 2)
    node.send(pid, "n", 3)
    assert seen == ["watch", "pid.exit", "upgrade", "n", "Seen", "n"]
    with pytest.raises(trio_actors.ProcessUnavailable):
        node.send(pid, "n", 4)
    await trio.testing.wait_all_tasks_blocked()
    assert await node.ask(pid, Seen()) == [1, 2, 3]


async def test_asend_waits_for_room_during_a_trace_too(node: Node, host: Host) -> None:
    """Who looks inside changes nothing."""
    pid = await host.spawn(reader, mailbox=Bounded(1, overflow="block"))
    node.send(pid, "n", 1)
    seen: list[Any] = []

    async def sender() -> None:
        await node.asend(pid, "n", 2)
        await node.asend(pid, "n", 3)

    with trio_actors.sys.trace(node, pid, seen.append):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender)
            await trio.testing.wait_all_tasks_blocked()
            assert seen == []
            node.cancel(pid)
    assert (await node.wait(pid)).value == [1, 2, 3]


async def test_state_trace_tree_and_dump(node: Node, host: Host) -> None:
    """sys shows a server's state, its messages, the tree, and what everybody waits for."""

    async def parent(ctx: ProcessContext) -> None:
        await ctx.spawn(Collector, name="collector")
        await ctx.inbox.receive()

    top = await host.spawn(parent, name="top")
    await trio.testing.wait_all_tasks_blocked()
    seen: list[str] = []
    with trio_actors.sys.trace(node, "collector", lambda item: seen.append(repr(item))):
        node.send("collector", "n", 3)
    await trio.testing.wait_all_tasks_blocked()
    assert trio_actors.sys.get_state(node, "collector") == {"seen": [3]}
    assert len(seen) == 1
    node.send("collector", "n", 4)
    assert len(seen) == 1
    tree = trio_actors.sys.tree(node)
    assert [branch.view.pid for branch in tree] == [top]
    assert [branch.view.names for branch in tree[0].children] == [("collector",)]
    text = trio_actors.sys.dump(node)
    assert "top" in text
    assert "ctx.inbox.receive()" in text
    assert "collector" in text


async def test_explain_follows_the_links_to_the_root(
    node: Node, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """SU42: the chain of a cascade, as data and as text."""
    caplog.set_level(logging.CRITICAL)

    async def last(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        raise ValueError("the root")

    async def first(ctx: ProcessContext) -> None:
        await ctx.spawn(last, link=True, name="last")
        await trio.sleep_forever()

    pid = await host.spawn(first)
    await trio.testing.wait_all_tasks_blocked()
    node.send("last", "go")
    await node.wait(pid)
    chain = trio_actors.sys.explain(node, pid)
    assert [str(record.exit.error) for record in chain] == [
        "linked process failed",
        "ValueError: the root",
    ]
    assert "because" in trio_actors.sys.explain_text(node, pid)


def test_a_star_import_hides_no_module_of_the_standard_library() -> None:
    """`from trio_actors import *` leaves the program's own `sys` alone."""
    import sys as standard

    hidden = set(trio_actors.__all__) & set(standard.stdlib_module_names)
    assert hidden == set()
