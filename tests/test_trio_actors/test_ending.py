"""The time between the end of the code and the end of the process: child tasks, timers, zombies."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import trio
import trio.testing
from carriers import text
from unwinding import slow_to_end

import trio_actors
from trio_actors import Bounded, Exit, Host, Node, ProcessContext, ProcessError, Server, handles
from trio_actors._core.migration import Migration


@pytest.mark.parametrize("how", ["terminate", "deadline", "link", None])
async def test_forced_end_while_child_tasks_unwind(host: Host, how: str | None) -> None:
    """TM3, E40: the code has returned, but the process lives until its child tasks have ended."""

    async def failing(ctx: ProcessContext) -> None:
        await trio.sleep(2)
        raise ProcessError("link")

    async def body(ctx: ProcessContext) -> str:
        if how == "link":
            await ctx.spawn(failing, link=True)
        ctx.start_task(slow_to_end, 3)
        await trio.sleep(1)
        return "value"

    node = host.node
    pid = await host.spawn(body)
    if how == "deadline":
        node.cancel(pid, 2)
    await trio.sleep(2)
    assert pid in node.processes
    if how == "terminate":
        node.terminate(pid)
    expected = {
        "terminate": "process terminated",
        "deadline": "cancel deadline exceeded",
        "link": "linked process failed",
        None: "value",
    }
    assert (text(await node.wait(pid)), trio.current_time()) == (expected[how], 4)


@pytest.mark.parametrize("own", [False, True], ids=["returns", "fails"])
async def test_child_task_that_fails_while_it_unwinds(host: Host, own: bool) -> None:
    """A failure of the unwinding is the end, unless the code has failed itself before."""

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("unwinding")

    async def body(ctx: ProcessContext) -> str:
        ctx.start_task(child)
        await trio.testing.wait_all_tasks_blocked()
        if own:
            raise ProcessError("own")
        return "value"

    end = await host.node.wait(await host.spawn(body))
    assert text(end) == ("own" if own else "ValueError: unwinding")


async def test_child_tasks_of_the_old_code_end_before_an_upgrade(host: Host) -> None:
    """PY11: nothing of the old code runs beside the new; its children count anew."""
    steps: list[str] = []

    async def child(name: str) -> None:
        try:
            await trio.sleep_forever()
        finally:
            steps.append(f"{name} ended")

    async def old(ctx: ProcessContext) -> None:
        ctx.start_task(child, "old child")
        await trio.testing.wait_all_tasks_blocked()
        await ctx.upgrade(new)

    async def new(ctx: ProcessContext) -> str:
        steps.append("new begins")
        ctx.start_task(child, "new child")
        await trio.testing.wait_all_tasks_blocked()
        return "new"

    assert await host.node.call(old, host=host) == "new"
    assert steps == ["old child ended", "new begins", "new child ended"]


class Plain(Server):
    """A plain server with a child task that needs 3 seconds to unwind."""

    def init(self) -> None:
        self.ctx.start_task(slow_to_end, 3)

    @handles("return")
    def end(self, message: Any) -> None:
        self.stop("value")

    @handles("fail")
    def fail(self, message: Any) -> None:
        raise ProcessError("boom")

    @handles("upgrade")
    def change(self, message: Any) -> None:
        self.upgrade(Successor)

    def migrate(self, old_version: int, state: Any) -> None:
        self.init()


class Tasked(Plain):
    """The same with a task of its own."""

    @handles("nothing")
    async def nothing(self, message: Any) -> None:
        """Makes it one."""


class Successor(Server):
    """What comes after the upgrade."""

    def migrate(self, old_version: int, state: Any) -> None:
        self.stop(f"successor at {trio.current_time()}")


@pytest.mark.parametrize("server", [Plain, Tasked])
@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("return", "value"),
        ("fail", "boom"),
        ("upgrade", "successor at 4.0"),
        ("terminate", "process terminated"),
    ],
)
async def test_server_ends_after_its_child_tasks(
    host: Host, server: type[Server], how: str, told: str
) -> None:
    """TM3, PY11: also a plain one; until then it is alive, and no new code begins."""
    node = host.node
    pid = await host.spawn(server, ready=True)
    await trio.sleep(1)
    if how == "terminate":
        node.terminate(pid)
    else:
        node.send(pid, how)
    await trio.sleep(1)
    assert pid in node.processes
    assert (text(await node.wait(pid)), trio.current_time()) == (told, 4)


@pytest.mark.parametrize("how", ["terminate", "abort"])
async def test_awaiting_handler_of_a_plain_server_unwinds_before_its_end(
    node: Node, how: str
) -> None:
    """T5: a plain handler that turned out to await may have shielded cleanup, too."""

    class Awaits(Server):
        @handles("go")
        def go(self, message: Any) -> Any:
            return slow_to_end(3)

    async with node.open_host("app:a", drain=0) as host:
        pid = await host.spawn(Awaits, ready=True)
        node.send(pid, "go")
        await trio.sleep(1)
        if how == "terminate":
            node.terminate(pid)
            assert text(await node.wait(pid)) == "process terminated"
            assert trio.current_time() == 4
        else:
            host.abort()
    ends = {"terminate": "process terminated", "abort": "process cancelled"}
    assert text(await node.wait(pid)) == ends[how]
    assert trio.current_time() == 4


async def test_process_given_up_during_its_upgrade_begins_nothing(host: Host) -> None:
    """SU8: a zombie's code may unwind later; no new code begins then."""
    began: list[str] = []

    async def old(ctx: ProcessContext) -> None:
        try:
            await ctx.upgrade(new)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)

    async def new(ctx: ProcessContext) -> None:
        began.append("new")

    node = host.node
    pid = await host.spawn(old)
    await trio.sleep(1)
    node.abandon(node.processes[pid], "would not end")
    await trio.sleep(10)
    assert (text(await node.wait(pid)), began) == ("would not end", [])
    host.zombies.clear()


async def test_fired_timers_keep_no_messages(host: Host) -> None:
    """Memory: a message that a timer has sent is kept by nobody once it was read."""

    class Big:
        pass

    async def body(ctx: ProcessContext) -> int:
        for _ in range(50):
            ctx.send_after(1, "tick", Big())
            await ctx.inbox.receive()
        return sum(isinstance(o, Big) for o in gc.get_objects())

    assert await host.node.call(body, host=host) <= 1


async def sends(ctx: ProcessContext, pid: str, count: int) -> None:
    """Sends so many numbers, as there is room."""
    for number in range(count):
        await ctx.asend(pid, "t", number)


@pytest.mark.parametrize("successor", ["function", "plain", "tasked"])
async def test_sender_that_waits_for_room_is_served_by_the_code_after_an_upgrade(
    host: Host, successor: str
) -> None:
    """U3: the limit stays with the process, and so do those who wait for room."""

    class PlainReader(Server):
        def migrate(self, old_version: int, state: Any) -> None:
            self.got: list[int] = []

        @handles("t")
        def take(self, message: Any) -> None:
            self.got.append(message.payload)
            if len(self.got) == 3:
                self.stop(self.got)

    class TaskedReader(PlainReader):
        @handles("nothing")
        async def nothing(self, message: Any) -> None:
            """Makes it one."""

    async def old(ctx: ProcessContext) -> None:
        await trio.sleep(5)
        if successor == "function":
            await ctx.upgrade(new)
        await ctx.upgrade(
            TaskedReader if successor == "tasked" else PlainReader, Migration(1, None)
        )

    async def new(ctx: ProcessContext) -> list[int]:
        return [(await ctx.inbox.receive()).payload for _ in range(3)]

    pid = await host.spawn(old, mailbox=Bounded(1, "block"))
    await host.spawn(sends, pid, 3)
    with trio.fail_after(60):
        assert (await host.node.wait(pid)).value == [0, 1, 2]


@pytest.mark.parametrize("way", ["receive", "selective", "nowait", "topic", "for"])
async def test_every_way_to_take_a_message_makes_room(host: Host, way: str) -> None:
    """A sender that waits for room goes on, however the receiver takes its messages."""

    async def reader(ctx: ProcessContext) -> list[int]:
        channel = ctx.listen("t", message=True) if way == "topic" else ctx.inbox
        await trio.sleep(1)
        got: list[int] = []
        while len(got) < 4:
            if way == "selective":
                message = await ctx.receive("t")
            elif way == "nowait":
                await trio.sleep(1)
                message = channel.receive_nowait()
            elif way == "for":
                message = await anext(channel)
            else:
                message = await channel.receive()
            got.append(message.payload)
        return got

    pid = await host.spawn(reader, mailbox=Bounded(1, "block"))
    await host.spawn(sends, pid, 4)
    with trio.fail_after(60):
        assert (await host.node.wait(pid)).value == [0, 1, 2, 3]


async def test_closing_a_full_channel_makes_room(host: Host) -> None:
    """L10: what a closed channel still holds is no load of the mailbox."""

    async def reader(ctx: ProcessContext) -> str:
        channel = ctx.listen("t")
        await trio.sleep(1)
        channel.close()
        return str((await ctx.inbox.receive()).topic)

    async def sender(ctx: ProcessContext, pid: str) -> None:
        await ctx.asend(pid, "t", 1)
        await ctx.asend(pid, "other", 2)

    pid = await host.spawn(reader, mailbox=Bounded(1, "block"))
    await host.spawn(sender, pid)
    with trio.fail_after(60):
        assert (await host.node.wait(pid)).value == "other"


async def test_timers_of_the_old_code_end_with_an_upgrade(host: Host) -> None:
    """U3, U4: what has fired is a message and stays, what has not is gone; new ones work."""

    async def old(ctx: ProcessContext) -> None:
        ctx.send_after(1, "fired")
        ctx.send_after(3, "never")
        ctx.send_interval(2, "never")
        await trio.sleep(1.5)
        await ctx.upgrade(new)

    async def new(ctx: ProcessContext) -> list[str]:
        ctx.send_after(10, "new")
        return [(await ctx.inbox.receive()).topic for _ in range(2)]

    assert await host.node.call(old, host=host) == ["fired", "new"]


async def test_what_ends_the_program_may_come_from_a_plain_terminate(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """E38, SU9: the server ends as decided, the host stops in order, `terminate` is called once."""
    called: list[str] = []
    ends = ["process terminated", "None"]

    class Fatal(Server):
        def init(self) -> None:
            self.begun = True

        def terminate(self, exit: Exit) -> None:
            called.append(text(exit))
            if len(called) == 1:
                raise SystemExit(3)

    with pytest.raises(SystemExit):
        async with trio_actors.open_node() as node, node.open_host("app:h") as host:
            pids = [await host.spawn(Fatal), await host.spawn(Fatal)]
            await trio.testing.wait_all_tasks_blocked()
            node.terminate(pids[0])
            await trio.sleep_forever()
    assert [text(node.exits.get(pid).exit) for pid in pids] == ends  # type: ignore[union-attr]
    assert called == ends


async def test_who_is_given_up_may_wait_for_its_own_end(node: Node) -> None:
    """SU8: its child task is cancelled, and is not told as well."""

    async def waits(ctx: ProcessContext) -> None:
        ctx.start_task(node.wait, ctx.pid)
        with trio.CancelScope(shield=True):
            await trio.sleep(5)

    with pytest.raises(ProcessError, match="could not be stopped"):
        async with node.open_host("app:h", drain=0) as host:
            pid = await host.spawn(waits)
            await trio.testing.wait_all_tasks_blocked()
            node.abandon(node.processes[pid], "would not end")
            assert str((await node.wait(pid)).error) == "would not end"


@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "in a group"])
@pytest.mark.parametrize("how", ["stop", "terminate"])
@pytest.mark.parametrize("kind", ["plain", "async", "waiting"])
async def test_a_broken_trio_leaves_a_terminate_too(
    autojump_clock: trio.testing.MockClock,
    kind: str,
    how: str,
    grouped: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """E38: Trio's internal error is no failure to be logged, though it is an Exception."""
    called: list[str] = []

    def fails(exit: Exit) -> None:
        called.append(text(exit))
        error = trio.TrioInternalError("broken")
        raise ExceptionGroup("several", [ValueError(), error]) if grouped else error

    class Fatal(Server):
        @handles("stop")
        def last(self, message: Any) -> None:
            self.stop()

        def terminate(self, exit: Exit) -> None:
            fails(exit)

    class Awaiting(Fatal):
        async def terminate(self, exit: Exit) -> None:  # type: ignore[override]
            if kind == "waiting":
                await trio.sleep(1)
            fails(exit)

    with pytest.raises(ExceptionGroup if grouped else trio.TrioInternalError):
        async with trio_actors.open_node() as node, node.open_host("app:h") as host:
            pid = await host.spawn(Fatal if kind == "plain" else Awaiting)
            await trio.testing.wait_all_tasks_blocked()
            node.send(pid, "stop") if how == "stop" else node.terminate(pid)
            await trio.sleep(60)
    assert called == ["None" if how == "stop" else "process terminated"]
    assert caplog.messages == []
