"""Servers and asks: both ways to run a server keep the same promises."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import pytest
import trio

import trio_actors
from trio_actors import Ask, EventKind, Host, Node, Request, Server, handles


@attrs.frozen
class Get(Ask[int]):
    """Asks for the count."""


@attrs.frozen
class Inc:
    by: int = 1


@attrs.frozen
class IncMore(Inc):
    pass


@attrs.frozen
class Refuse(Ask[None]):
    pass


@attrs.frozen
class Crash(Ask[None]):
    pass


@attrs.frozen
class Later(Ask[int]):
    pass


@attrs.frozen
class Never(Ask[int]):
    pass


@attrs.frozen
class Stop(Ask[str]):
    pass


class Plain(Server):
    """Stepped by the dispatcher."""

    def init(self, start: int = 0) -> None:
        self.count = start
        self.ended_with: list[Any] = []
        self.kept: list[Request] = []

    @handles(Inc)
    def inc(self, message: Inc) -> None:
        self.count += message.by

    @handles(Get)
    def get(self, request: Get) -> int:
        return self.count

    @handles(Refuse)
    def refuse(self, request: Refuse) -> None:
        raise trio_actors.ProcessConflict("not now", retryable=True, details={"a": 1})

    @handles(Crash)
    def crash(self, request: Crash) -> None:
        raise ValueError("boom")

    @handles(Later)
    def later(self, request: Later) -> None:
        self.kept.append(self.defer())

    @handles(Never)
    def never(self, request: Never) -> None:
        self.defer()

    @handles("go")
    def go(self, message: trio_actors.Message) -> None:
        self.kept.pop().reply(message.payload)

    @handles(Stop)
    def halt(self, request: Stop) -> str:
        self.stop("stopped")
        return "stopping"

    @handles(EventKind.EXIT)
    def peer_ended(self, event: trio_actors.Event) -> None:
        self.count += 100

    @handles("watch")
    def watch(self, message: trio_actors.Message) -> None:
        self.ctx.monitor(message.payload)


class Awaiting(Plain):
    """Has a task of its own, because one handler awaits."""

    @handles(Get)
    async def get(self, request: Get) -> int:  # type: ignore[override]
        await trio.lowlevel.checkpoint()
        return self.count


both = pytest.mark.parametrize("server", [Plain, Awaiting])


@both
async def test_ask_returns_what_the_handler_returns(
    node: Node, host: Host, server: type[Server]
) -> None:
    """The reply of an ask is the handler's value; casts before it were handled first."""
    pid = await host.spawn(server, 5)
    node.cast(pid, Inc(2))
    node.cast(pid, IncMore(3))
    assert await node.ask(pid, Get()) == 10
    assert await node.ask(pid, Get(), timeout="5s") == 10


@both
async def test_a_process_error_answers_and_the_server_lives(
    node: Node, host: Host, server: type[Server]
) -> None:
    """ProcessError in a handler of an ask is the answer, with all fields."""
    pid = await host.spawn(server)
    for _ in range(2):
        with pytest.raises(trio_actors.ProcessConflict, match="not now") as caught:
            await node.ask(pid, Refuse())
        assert caught.value.retryable is True
        assert caught.value.details == {"a": 1}
    assert await node.ask(pid, Get()) == 0


@both
async def test_any_other_exception_ends_the_server_and_the_ask(
    node: Node, host: Host, server: type[Server], caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in a handler fails the server; the asker learns of the end at once."""
    caplog.set_level(logging.CRITICAL)
    pid = await host.spawn(server)
    with pytest.raises(trio_actors.ProcessUnavailable, match="ValueError: boom"):
        await node.ask(pid, Crash())
    end = await node.wait(pid)
    assert end.error is not None
    assert end.error.message == "ValueError: boom"
    with pytest.raises(trio_actors.ProcessNotFound):
        await node.ask(pid, Get())


@both
async def test_a_deferred_request_is_answered_later(
    node: Node, host: Host, server: type[Server]
) -> None:
    """defer() frees the server; reply() ends the ask."""
    pid = await host.spawn(server, 1)
    replies: list[int] = []

    async def asker() -> None:
        replies.append(await node.ask(pid, Later()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(asker)
        await trio.testing.wait_all_tasks_blocked()
        assert await node.ask(pid, Get()) == 1
        node.send(pid, "go", 42)
    assert replies == [42]


@both
async def test_a_request_dropped_without_a_reply_tells_its_caller(
    node: Node, host: Host, server: type[Server]
) -> None:
    """Nobody waits for an answer that cannot come any more."""
    pid = await host.spawn(server)
    with pytest.raises(trio_actors.ProcessUnavailable, match="dropped without a reply"):
        await node.ask(pid, Never())


@both
async def test_an_ask_that_times_out_never_sees_the_late_reply(
    node: Node, host: Host, server: type[Server], autojump_clock: trio.testing.MockClock
) -> None:
    """After a timeout the late reply is seen by nobody and harms nobody."""
    pid = await host.spawn(server, 7)
    with pytest.raises(trio_actors.ProcessTimeout):
        await node.ask(pid, Later(), timeout=5)
    assert trio.current_time() == 5
    node.send(pid, "go", 42)
    assert await node.ask(pid, Get(), timeout=5) == 7


@both
async def test_an_abandoned_request_is_skipped_in_the_queue(
    node: Node, host: Host, server: type[Server], autojump_clock: trio.testing.MockClock
) -> None:
    """A caller that gave up costs the server nothing."""
    pid = await host.spawn(server)
    trio_actors.sys.suspend(node, pid)
    with trio.move_on_after(1):
        await node.ask(pid, Crash())
    with pytest.raises(trio_actors.ProcessTimeout):
        await node.ask(pid, Crash(), timeout=1)
    trio_actors.sys.resume(node, pid)
    assert await node.ask(pid, Get()) == 0


@both
async def test_stop_ends_normally_after_the_reply(
    node: Node, host: Host, server: type[Server]
) -> None:
    """stop(value) is a normal end with that value, and the request in hand is answered."""
    pid = await host.spawn(server)
    assert await node.ask(pid, Stop()) == "stopping"
    assert (await node.wait(pid)).value == "stopped"


@both
async def test_cancel_stops_a_server_that_does_not_handle_it(
    node: Node, host: Host, server: type[Server]
) -> None:
    """CANCEL without a handler is a normal stop."""
    pid = await host.spawn(server)
    node.cancel(pid)
    assert (await node.wait(pid)).abnormal is False


@both
async def test_servers_are_processes(node: Node, host: Host, server: type[Server]) -> None:
    """PID, name, monitor, terminate and events work as for any process (TM2)."""
    watcher = await host.spawn(server, name="watcher")
    pid = await host.spawn(server)
    node.send("watcher", "watch", pid)
    await trio.testing.wait_all_tasks_blocked()
    node.terminate(pid)
    end = await node.wait(pid)
    assert str(end.error) == "process terminated"
    assert await node.ask(watcher, Get()) == 100


@both
async def test_init_failure_is_the_exit(
    node: Node, host: Host, server: type[Server], caplog: pytest.LogCaptureFixture
) -> None:
    """A server whose init raises has ended abnormally; a spawn that waits for it raises."""
    caplog.set_level(logging.CRITICAL)

    class Broken(server):  # type: ignore[misc, valid-type]
        def init(self) -> None:
            raise RuntimeError("no")

    with pytest.raises(trio_actors.ProcessInternal, match="RuntimeError: no"):
        await host.spawn(Broken, ready=True)


@both
async def test_unknown_requests_are_refused(node: Node, host: Host, server: type[Server]) -> None:
    """An ask that no handler takes fails at once and the server lives."""

    @attrs.frozen
    class Unknown(Ask[int]):
        pass

    pid = await host.spawn(server)
    with pytest.raises(trio_actors.ProcessInvalid, match="no handler for Unknown"):
        await node.ask(pid, Unknown())
    assert await node.ask(pid, Get()) == 0


@both
async def test_plain_data_becomes_the_typed_message(
    node: Node, host: Host, server: type[Server]
) -> None:
    """A dictionary under the class's name, as Lua sends it, is structured (M27)."""
    pid = await host.spawn(server)
    node.send(pid, "Inc", {"by": 4})
    node.send(pid, "Inc", [])
    assert await node.ask(pid, Get()) == 5


@both
async def test_upgrade_keeps_pid_and_messages_and_migrates(
    node: Node, host: Host, server: type[Server]
) -> None:
    """U1-U3 for servers: migrate(old_version, state) in place of init."""

    class Next(server):  # type: ignore[misc, valid-type]
        version = 2

        def migrate(self, old_version: int, state: int) -> None:
            self.count = old_version * 1000 + state

    class First(server):  # type: ignore[misc, valid-type]
        @handles("upgrade")
        def go_on(self, message: trio_actors.Message) -> None:
            self.upgrade(Next, self.count)

    pid = await host.spawn(First, 5, name="it")
    node.send(pid, "upgrade")
    node.cast(pid, Inc(2))
    assert await node.ask("it", Get()) == 1007
    assert node.lookup("it") == pid


async def test_an_idle_plain_server_answers_in_the_callers_turn(node: Node, host: Host) -> None:
    """Only when nobody can tell: with something queued the ask goes through the mailbox."""
    pid = await host.spawn(Plain, 1)
    await trio.testing.wait_all_tasks_blocked()
    await node.ask(pid, Get())
    delivered = node.delivered
    assert await node.ask(pid, Get()) == 1
    assert node.delivered == delivered
    node.cast(pid, Inc())
    assert await node.ask(pid, Get()) == 2
    assert node.delivered == delivered + 2


async def test_asking_oneself_fails_at_once(node: Node, host: Host) -> None:
    """It could never be answered."""

    async def narcissus(ctx: trio_actors.ProcessContext) -> None:
        await ctx.ask(ctx.pid, Get())

    with pytest.raises(trio_actors.ProcessInvalid, match="cannot ask itself"):
        await node.call(narcissus, host=host)


async def test_a_busy_server_does_not_starve_the_others(node: Node, host: Host) -> None:
    """The dispatcher yields: a server that sends itself messages for ever lets others run."""

    class Busy(Server):
        def init(self) -> None:
            self.ctx.send(self.ctx.pid, "again")

        @handles("again")
        def again(self, message: trio_actors.Message) -> None:
            self.ctx.send(self.ctx.pid, "again")

    pid = await host.spawn(Busy)
    other = await host.spawn(Plain, 3)
    for _ in range(10):
        await trio.lowlevel.checkpoint()
    assert await node.ask(other, Get()) == 3
    node.terminate(pid)
