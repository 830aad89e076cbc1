"""Messages that nobody takes, and receives of what cannot come: the error says what was meant."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import pytest
import trio

from trio_actors import Ask, Event, EventKind, Host, Message, ProcessContext, ProcessInvalid, Server
from trio_actors import handles as on


@attrs.frozen
class Get(Ask[int]):
    n: int = 0


@attrs.frozen
class Gett(Ask[int]):
    pass


@attrs.frozen
class Unlike(Ask[int]):
    pass


class Plain(Server):
    @on(Get)
    def get(self, request: Get) -> int:
        return request.n

    @on("ping")
    def ping(self, message: Message) -> None: ...


class Awaiting(Plain):
    async def get(self, request: Get) -> int:  # type: ignore[override]
        return request.n


Namesake = attrs.make_class("Get", ["n"])
TO_SEND = "; ask and cast take an object of a class of yours, topics are for send"
MEANT = [
    (Get, "type", "; Get is a class, and an object of it is wanted: Get(...)"),
    ("ping", "str", TO_SEND),
    ({"n": 1}, "dict", TO_SEND),
    (Namesake(1), "Get", f"; it has one for another Get, of {__name__}"),
    (Gett(), "Gett", '; did you mean "Get"?'),
    (Unlike(), "Unlike", ""),
]
both = pytest.mark.parametrize("server", [Plain, Awaiting])


@both
@pytest.mark.parametrize(("request_", "topic", "meant"), MEANT, ids=[m[1] for m in MEANT])
async def test_an_ask_that_no_handler_takes_says_what_was_meant(
    host: Host, server: type[Server], request_: Any, topic: str, meant: str
) -> None:
    """A class in place of an object, a text, a namesake, a slip of the keyboard."""
    pid = await host.spawn(server)
    with pytest.raises(ProcessInvalid) as caught:
        await host.node.ask(pid, request_)
    assert str(caught.value) == f"{__name__}:{server.__name__} has no handler for {topic}{meant}"


@both
@pytest.mark.parametrize(("message", "topic", "meant"), MEANT, ids=[m[1] for m in MEANT])
async def test_a_cast_that_no_handler_takes_is_logged_with_what_was_meant(
    host: Host,
    server: type[Server],
    message: Any,
    topic: str,
    meant: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same words as for an ask."""
    pid = await host.spawn(server)
    host.node.cast(pid, message)
    await trio.testing.wait_all_tasks_blocked()
    (line,) = caplog.messages
    shown = f"process.Message{{topic={topic!r}, from=None}}"
    assert line == f"{pid} ({__name__}:{server.__name__}) has no handler for {shown}{meant}"


@both
async def test_a_topic_that_no_handler_takes_is_logged_with_the_nearest(
    host: Host, server: type[Server], caplog: pytest.LogCaptureFixture
) -> None:
    """Topics and the names of classes; nothing for what is not alike, or for an event."""
    pid = await host.spawn(server)
    for topic in ("pign", "Gett", "other"):
        host.node.send(pid, topic)
    await trio.testing.wait_all_tasks_blocked()
    host.node.processes[pid].deliver(Event(EventKind.OUTDATED, pid, 0.0))
    await trio.testing.wait_all_tasks_blocked()
    ends = [line.partition("from=None}")[2] for line in caplog.messages]
    assert ends == ['; did you mean "ping"?', '; did you mean "Get"?', "", ""]


async def test_nothing_is_looked_for_where_nobody_reads_it(
    host: Host, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To drop a message stays cheap where warnings are off."""
    monkeypatch.delattr("trio_actors.server.hint")
    caplog.set_level(logging.ERROR, "trio_actors.server")
    pid = await host.spawn(Plain)
    host.node.send(pid, "pign")
    await trio.testing.wait_all_tasks_blocked()
    assert await host.node.ask(pid, Get(3)) == 3


@pytest.mark.parametrize("wanted", [5, 1.5, b"topic", Get(), ["topic"]], ids=repr)
@pytest.mark.parametrize("timeout", [None, 0, "5s"])
async def test_receive_refuses_what_can_never_come(
    host: Host, way: str, wanted: Any, timeout: Any
) -> None:
    """At once, and what is there stays; it would wait for ever."""

    async def reader(ctx: ProcessContext) -> str:
        with pytest.raises(TypeError) as caught:
            await ctx.receive(wanted, timeout=timeout)
        assert str(caught.value) == (
            f"cannot receive {wanted!r}: expected a topic, a class or a function of the message; "
            "a time goes to timeout="
        )
        return (await ctx.receive()).topic

    pid = await host.spawn(reader, messages=[("first",)])
    assert (await host.node.wait(pid)).value == "first"
    assert trio.current_time() == 0
