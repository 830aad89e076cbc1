"""Sending: results, order, capacity, what crosses (processes.md §2; PY1, PY2, P3)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from stage import Stage
from unwinding import slow_to_end

import trio_actors
from trio_actors import (
    Ask,
    Host,
    Message,
    Node,
    ProcessContext,
    ProcessError,
    ProcessInvalid,
    ProcessNotFound,
    Request,
    Server,
    handles,
    open_node,
)


async def test_send_arrives_and_gives_nothing_back(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """M1, P5: the message is in the mailbox when send returns, with sender and topic."""
    a, b = await stage.cast(*languages)
    await a.do("send", b.pid, "job", {"n": 1})
    assert await b.inbox() == [["job", a.pid, {"n": 1}]]


async def test_send_is_no_checkpoint(host: Host) -> None:
    """M1, PY1: send takes effect before it returns and lets nobody else run."""

    async def body(ctx: ProcessContext) -> int:
        inbox = ctx.inbox
        for number in range(100):
            ctx.send(ctx.pid, "t", number)
        return len(inbox)

    with trio.testing.assert_no_checkpoints():
        host.node.send(host.spawn_soon(body), "t")
    assert await host.node.call(body, host=host) == 100


async def test_send_by_name(stage: Stage, languages: tuple[str, str]) -> None:
    """M4, R8: a registered name is as good as a PID."""
    a, b = await stage.cast(*languages)
    await b.do("register", "bob")
    await a.do("send", "bob", "t", 1)
    assert await b.inbox() == [["t", a.pid, 1]]


REFUSED = [
    ("@inbox", "{stage:host|0x00001}", ProcessInvalid, "cannot send to @ topics"),
    ("@x", "nobody", ProcessInvalid, "cannot send to @ topics"),
    ("t", "nobody", ProcessNotFound, "could not resolve 'nobody' as PID or registered name"),
    ("t", "{stage:host|0xfffff}", ProcessNotFound, "process not found"),
    ("t", "{other:host|0x00001}", ProcessNotFound, "host not found"),
    ("t", "{far@stage:host|0x00001}", ProcessNotFound, "host not found"),
    ("t", "{a|b|c}", ProcessNotFound, "could not resolve '{a|b|c}' as PID or registered name"),
    ("t", "{|b}", ProcessNotFound, "could not resolve '{|b}' as PID or registered name"),
]


@pytest.mark.parametrize(("topic", "dest", "error", "text"), REFUSED)
async def test_refused_send(
    stage: Stage, language: str, topic: str, dest: str, error: type[ProcessError], text: str
) -> None:
    """M3-M6, M16, P3: topic first, then resolution, then liveness; each with its text."""
    a = await stage.puppet(language)
    with pytest.raises(error) as caught:
        await a.do("send", dest, topic, 1)
    assert (str(caught.value), caught.value.retryable) == (text, False)


@pytest.mark.parametrize("outside", [False, True], ids=["process", "node"])
async def test_undelivered_message_is_in_the_error(host: Host, outside: bool) -> None:
    """The undelivered message is inside the delivery error."""

    async def body(ctx: ProcessContext) -> None:
        sender: Any = ctx.node if outside else ctx
        with pytest.raises(ProcessNotFound) as caught:
            sender.send("nobody", "t", 1, 2)
        expected = Message("t", None if outside else ctx.pid, [1, 2])
        assert caught.value.undelivered == expected

    await host.node.call(body, host=host)


async def test_ended_process_cannot_be_reached(stage: Stage, languages: tuple[str, str]) -> None:
    """M5, P2: after the end the PID gives NOT_FOUND, and is not used again."""
    a, b = await stage.cast(*languages)
    b.tell("return", 1)
    await b.ended()
    with pytest.raises(ProcessNotFound, match=r"^process not found$"):
        await a.do("send", b.pid, "t", 1)
    assert (await stage.puppet(languages[1])).pid != b.pid


async def test_send_to_an_ending_process_succeeds_and_is_discarded(host: Host) -> None:
    """M7: before step 1 of the exit a send succeeds; nobody reads it."""
    seen: list[object] = []

    async def ending(ctx: ProcessContext) -> None:
        inbox = ctx.inbox
        try:
            await slow_to_end(1)
        finally:
            seen.append(len(inbox))

    pid = await host.spawn(ending)
    await trio.testing.wait_all_tasks_blocked()
    host.node.terminate(pid)
    host.node.send(pid, "t", 1)
    await host.node.wait(pid)
    assert seen == [1]
    with pytest.raises(ProcessNotFound):
        host.node.send(pid, "t", 1)


@pytest.mark.parametrize(("dest", "topic"), [(5, "t"), (None, "t"), (["x"], "t"), ("me", 5)])
async def test_wrong_argument_types_raise_type_error(host: Host, dest: Any, topic: Any) -> None:
    """M9, PY2: a destination or topic that is no text raises TypeError."""

    async def body(ctx: ProcessContext) -> None:
        ctx.register("me")
        for sender in (ctx, ctx.node):
            with pytest.raises(TypeError):
                sender.send(dest, topic)

    await host.node.call(body, host=host)


async def test_empty_topic_goes_to_the_inbox(stage: Stage, languages: tuple[str, str]) -> None:
    """M10: the empty topic is ordinary; nobody can listen to it."""
    a, b = await stage.cast(*languages)
    await a.do("send", b.pid, "", 1)
    assert await b.inbox() == [["", a.pid, 1]]


async def test_send_to_oneself(stage: Stage, language: str) -> None:
    """M11: by PID or by name, it arrives like any message."""
    a = await stage.puppet(language)
    await a.do("register", "me")
    await a.do("send", a.pid, "t", 1)
    await a.do("send", "me", "t", 2)
    assert await a.inbox() == [["t", a.pid, 1], ["t", a.pid, 2]]


async def test_sc16_thousand_sends_before_the_inbox_opens(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """SC16, M12, M13, L4: all arrive, in order, also those before the inbox was opened."""
    a, b = await stage.cast(*languages)
    for number in range(100):
        await a.do("send", b.pid, "t", number)
    for number in range(100, 1000):
        stage.node.send(b.pid, "t", number)
    assert [payload for _, _, payload in await b.inbox()] == list(range(1000))


async def test_sc16_topics_are_apart_until_unlistened(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """SC16, L2, L10: topics a and b are apart; after unlisten topic a lands in the inbox."""
    a, b = await stage.cast(*languages)
    await b.do("open", "inbox")
    await b.do("listen", "a")
    for topic, value in (("a", 1), ("b", 2), ("a", 3)):
        await a.do("send", b.pid, topic, value)
    await stage.settle()
    assert await b.do("listen", "a") == [1, 3]
    await b.do("unlisten", "a")
    await a.do("send", b.pid, "a", 4)
    assert await b.inbox() == [["b", a.pid, 2], ["a", a.pid, 4]]


async def test_order_of_one_sender_across_senders(host: Host) -> None:
    """M12: messages of one sender arrive in sending order, whoever else sends."""

    async def sender(ctx: ProcessContext, to: str) -> None:
        for number in range(50):
            ctx.send(to, "t", number)
            if number % 7 == 0:
                await trio.lowlevel.checkpoint()

    async def receiver(ctx: ProcessContext) -> dict[str, list[int]]:
        got: dict[str, list[int]] = {}
        senders = [await ctx.spawn(sender, ctx.pid) for _ in range(5)]
        for _ in range(250):
            message = await ctx.inbox.receive()
            got.setdefault(str(message.sender), []).append(message.payload)
        return {str(pid): got[pid] for pid in senders}

    got = await host.node.call(receiver, host=host)
    assert list(got.values()) == [list(range(50))] * 5


@pytest.mark.parametrize(
    ("values", "payload"),
    [((), None), ((1,), 1), ((1, 2, 3), [1, 2, 3]), ((None,), None)],
)
async def test_sc18_several_values_are_one_message(
    stage: Stage, languages: tuple[str, str], values: tuple[Any, ...], payload: object
) -> None:
    """SC18, M30-M32: none is None, one is itself, several are one list."""
    a, b = await stage.cast(*languages)
    await b.do("open", "inbox")
    await b.do("listen", "raw")
    await a.do("send", b.pid, "t", *values)
    await a.do("send", b.pid, "raw", *values)
    assert await b.inbox() == [["t", a.pid, payload]]
    assert await b.do("listen", "raw") == [payload]


async def test_none_among_several_values_keeps_its_place(stage: Stage, language: str) -> None:
    """M33: a hole in the Lua array, None in the Python list, whoever sends."""
    a, b = await stage.cast(language, "python")
    await a.do("send", b.pid, "t", 1, None, 3)
    await a.do("send", b.pid, "t", 1, None)
    assert await b.inbox() == [["t", a.pid, [1, None, 3]], ["t", a.pid, [1, None]]]


async def test_python_values_pass_by_reference(host: Host) -> None:
    """M26: between Python processes the very object arrives."""
    thing = object()

    async def receiver(ctx: ProcessContext) -> object:
        return (await ctx.inbox.receive()).payload

    pid = await host.spawn(receiver)
    host.node.send(pid, "t", thing)
    assert (await host.node.wait(pid)).value is thing


async def test_sc17_copying_host_copies_everything_in_depth(node: Node) -> None:
    """SC17, M26: a host with copy_messages copies messages, arguments and exit values."""
    inner = [1]
    outer = {"inner": inner}

    async def receiver(ctx: ProcessContext, argument: object) -> object:
        return [argument, (await ctx.inbox.receive()).payload, kept]

    kept = [2]
    async with node.open_host("app:copies", copy_messages=True) as host:
        pid = await host.spawn(receiver, outer)
        node.send(pid, "t", outer)
        inner.append(99)
        value = (await node.wait(pid)).value
        assert value == [{"inner": [1]}, {"inner": [1]}, [2]]
        assert value[2] is not kept


async def test_copying_host_refuses_what_cannot_be_copied(node: Node) -> None:
    """M24, M26: the sender, the spawner or the watcher is told."""

    async def returns_it(ctx: ProcessContext) -> object:
        await ctx.inbox.receive()
        return (n for n in ())

    async with node.open_host("app:copies", copy_messages=True) as host:
        with pytest.raises(ProcessInvalid, match=r"^an argument cannot be copied: "):
            await host.spawn(returns_it, (n for n in ()))
        assert host.alive == 0
        pid = await host.spawn(returns_it)
        with pytest.raises(ProcessInvalid, match=r"^payload of topic 't' cannot be copied: "):
            node.send(pid, "t", (n for n in ()))
        node.send(pid, "t", 1)
        with pytest.raises(ProcessInvalid, match=r"^exit value cannot be copied: "):
            (await node.wait(pid)).unwrap()


class Sum(Ask[list[int]]):
    """A request with something that can be changed in it."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers


class Keeping(Server):
    """Keeps what it gets, and gives away what it keeps."""

    def init(self) -> None:
        self.kept: list[list[int]] = []

    @handles("t")
    def take(self, message: Message) -> None:
        self.kept.append(message.payload)

    @handles(Sum)
    def add(self, request: Sum) -> list[int]:
        self.kept.append(request.numbers)
        request.numbers.append(9)
        return request.numbers


class KeepingInATask(Keeping):
    """The same with a task of its own."""

    @handles("upgrade")
    async def go_on(self, message: Message) -> None:
        self.upgrade(KeepingInATask, self.kept)

    def migrate(self, old_version: int, state: Any) -> None:
        self.kept = [*state, [7]]


@pytest.mark.parametrize("server", [Keeping, KeepingInATask])
async def test_copying_host_copies_for_servers_too(node: Node, server: type[Server]) -> None:
    """M26: messages, requests and replies."""
    async with node.open_host("app:copies", copy_messages=True, drain=0) as host:
        pid = await host.spawn(server, ready=True)
        sent, asked = [1], [2]
        node.send(pid, "t", sent)
        sent.append(99)
        reply = await node.ask(pid, Sum(asked))
        again = await node.ask(pid, Sum(asked), timeout=5)
        assert (asked, reply, again) == ([2], [2, 9], [2, 9])
        state = trio_actors.sys.get_state(node, pid)
        assert state == {"kept": [[1], [2, 9], [2, 9]]}
        assert state["kept"][1] is not reply
        with pytest.raises(ProcessInvalid, match=r"^payload of topic 'Sum' cannot be copied: "):
            await node.ask(pid, Sum(n for n in ()))  # type: ignore[arg-type]


@pytest.mark.parametrize("server", [Keeping, KeepingInATask])
async def test_copying_host_copies_each_message_of_a_burst(
    node: Node, server: type[Server]
) -> None:
    """M26: however many are unread, nobody appends to the queue by himself."""
    async with node.open_host("app:copies", copy_messages=True, drain=0) as host:
        pid = await host.spawn(server, ready=True)
        sent = [[number] for number in range(10)]
        for payload in sent:
            node.send(pid, "t", payload)
        await trio.testing.wait_all_tasks_blocked()
        kept = trio_actors.sys.get_state(node, pid)["kept"]
        assert kept == sent
        assert not any(one is other for one, other in zip(kept, sent, strict=True))


async def test_copying_host_copies_the_state_of_an_upgrade(node: Node) -> None:
    """M26: so old and new code share nothing."""
    async with node.open_host("app:copies", copy_messages=True, drain=0) as host:
        pid = await host.spawn(KeepingInATask, messages=[("t", [1])], ready=True)
        await trio.testing.wait_all_tasks_blocked()
        old = trio_actors.sys.get_state(node, pid)["kept"]
        node.send(pid, "upgrade")
        await trio.testing.wait_all_tasks_blocked()
        new = trio_actors.sys.get_state(node, pid)["kept"]
        assert new == [[1], [7]]
        assert new[0] is not old[0]


async def test_copying_host_answers_requests_and_withdraws_timers(
    node: Node, autojump_clock: trio.testing.MockClock
) -> None:
    """M26: only the payload is a copy; the message is the one that was sent."""

    async def answering(ctx: ProcessContext) -> list[str]:
        request = await ctx.receive()
        assert isinstance(request, Request)
        request.reply(request.payload.numbers)
        key = ctx.send_after(1, "tick")
        await trio.sleep(2)
        ctx.cancel_timer(key)
        ctx.send(ctx.pid, "last")
        return [(await ctx.receive()).topic]

    async with node.open_host("app:copies", copy_messages=True) as host:
        pid = await host.spawn(answering)
        numbers = [1]
        reply = await node.ask(pid, Sum(numbers))
        assert reply == numbers
        assert reply is not numbers
        assert (await node.wait(pid)).value == ["last"]


async def test_what_cannot_cross_is_given_back_each_time(node: Node) -> None:
    """M24: the message is in the error, of the first send and of all later ones."""

    async def idle(ctx: ProcessContext) -> None:
        await trio.sleep_forever()

    async with node.open_host("app:copies", copy_messages=True, drain=0) as host:
        pid = await host.spawn(idle)
        for _ in range(2):
            with pytest.raises(ProcessInvalid) as caught:
                node.send(pid, "t", (n for n in ()))
            assert caught.value.undelivered is not None
            assert caught.value.undelivered.topic == "t"


async def test_nodes_are_independent(autojump_clock: trio.testing.MockClock) -> None:
    """PH1: two nodes share neither PIDs nor names nor hosts."""

    async def body(ctx: ProcessContext) -> str:
        ctx.register("same")
        await trio.sleep(1)
        return ctx.pid

    async with open_node("one") as one, open_node("two") as two:
        async with one.open_host("app:main") as a, two.open_host("app:main") as b:
            first, second = await a.spawn(body), await b.spawn(body)
            assert [first, second] == ["{one@app:main|0x00001}", "{two@app:main|0x00001}"]
            with pytest.raises(ProcessNotFound, match=r"^host not found$"):
                one.send(second, "t")
            await a.join()
            await b.join()
