"""What a process is does not depend on how it is run (TM2): tasks, servers, plain servers."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from carriers import text

from trio_actors import (
    EventKind,
    Host,
    ProcessContext,
    ProcessError,
    ProcessInvalid,
    ProcessNotFound,
    ProcessUnavailable,
    Server,
    handles,
    open_node,
)


async def function(ctx: ProcessContext) -> Any:
    """Obeys as an async function."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_at_cancel, ctx, nursery.cancel_scope)
        async for message in ctx.inbox:
            if message.topic == "fail":
                raise ProcessError("boom")
            if message.topic == "return":
                nursery.cancel_scope.cancel()
                break
            getattr(ctx, message.topic)(*message.payload)
    return "value"


async def end_at_cancel(ctx: ProcessContext, scope: trio.CancelScope) -> None:
    """A server stops when it is asked to."""
    await ctx.events.receive()
    scope.cancel()


class Plain(Server):
    """Obeys as a plain server."""

    @handles("fail")
    def fail(self, message: Any) -> None:
        raise ProcessError("boom")

    @handles("return")
    def end(self, message: Any) -> None:
        self.stop("value")

    @handles("link", "monitor", "register", "terminate", "unlink")
    def method(self, message: Any) -> None:
        getattr(self.ctx, message.topic)(*message.payload)

    @handles(EventKind.CANCEL)
    def cancelled(self, event: Any) -> None:
        self.stop("value")


class Tasked(Plain):
    """Obeys as a server with a task."""

    @handles("fail")
    async def fail(self, message: Any) -> None:
        raise ProcessError("boom")


pytestmark = pytest.mark.parametrize("way", [function, Plain, Tasked], ids=lambda w: w.__name__)


async def watch(ctx: ProcessContext, pid: str, link: bool) -> list[str]:
    """What a trapping process gets to know of an end."""
    ctx.options.trap_links = True
    ctx.monitor(pid)
    if link:
        ctx.link(pid)
    told = []
    with trio.move_on_after(50):
        async for event in ctx.events:
            result = event.result
            told.append(f"{event.kind} {result.error or result.value}")
    return told


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("return", ["pid.exit value"]),
        ("fail", ["pid.exit boom", "pid.link.down boom"]),
        ("terminate", ["pid.exit process terminated", "pid.link.down process terminated"]),
        ("cancel", ["pid.exit value"]),
    ],
)
async def test_end_is_told_alike(host: Host, way: Any, how: str, told: list[str]) -> None:
    """N1, K13, V5, T2: EXIT and LINK_DOWN are the same whatever runs the code."""
    node = host.node
    pid = await host.spawn(way, name="worker")
    watcher = await host.spawn(watch, pid, True)
    await trio.testing.wait_all_tasks_blocked()
    if how in ("terminate", "cancel"):
        getattr(node, how)(pid)
    else:
        node.send(pid, how, ())
    assert (await node.wait(watcher)).value == told
    with pytest.raises(ProcessNotFound):
        node.send(pid, "t")
    with pytest.raises(ProcessNotFound):
        node.lookup("worker")


async def test_linked_failure_ends_it_alike(host: Host, way: Any) -> None:
    """K14: a failing peer ends it, its own exit is E34."""
    first, second = await host.spawn(way), await host.spawn(Plain)
    host.node.send(first, "link", (second,))
    await trio.testing.wait_all_tasks_blocked()
    host.node.send(second, "fail", ())
    assert text(await host.node.wait(first)) == "linked process failed"


async def test_deadline_is_enforced_alike(host: Host, way: Any) -> None:
    """K6, K7: alive at the earliest deadline, it is ended; a stuck one too."""

    async def ignores(ctx: ProcessContext) -> None:
        await trio.sleep_forever()

    class Deaf(way if isinstance(way, type) else Plain):  # type: ignore[misc]
        @handles(EventKind.CANCEL)
        def cancelled(self, event: Any) -> None:
            """Takes no notice."""

    pid = await host.spawn(Deaf if isinstance(way, type) else ignores)
    host.node.cancel(pid, "5s")
    host.node.cancel(pid, "10s")
    assert text(await host.node.wait(pid)) == "cancel deadline exceeded"
    assert trio.current_time() == pytest.approx(5)


async def test_terminate_before_the_first_step_alike(host: Host, way: Any) -> None:
    """T1, E11: it never begins."""
    pid = host.spawn_soon(way)
    host.node.send(pid, "fail", ())
    host.node.terminate(pid)
    assert text(await host.node.wait(pid)) == "process terminated"


async def test_forced_end_comes_before_unread_messages_alike(host: Host, way: Any) -> None:
    """TM2, E40: what is unread when terminate comes is not handled."""
    pid = await host.spawn(way)
    await trio.testing.wait_all_tasks_blocked()
    host.node.terminate(pid)
    host.node.send(pid, "register", ("too-late",))
    host.node.send(pid, "return", ())
    assert text(await host.node.wait(pid)) == "process terminated"


async def test_terminating_oneself_alike(host: Host, way: Any) -> None:
    """PY9: the method returns, the process is ended afterwards."""
    pid = await host.spawn(way)
    host.node.send(pid, "terminate", (pid,))
    host.node.send(pid, "return", ())
    assert text(await host.node.wait(pid)) == "process terminated"


async def test_host_stop_alike(host: Host, way: Any) -> None:
    """Z3: asked by the host's CANCEL, it ends by itself."""
    async with host.node.open_host("app:other", drain=5) as other:
        pid = await other.spawn(way)
        await trio.testing.wait_all_tasks_blocked()
    assert text(await host.node.wait(pid)) == "value"
    assert trio.current_time() == 0


async def test_abort_alike(host: Host, way: Any) -> None:
    """E37, E40: a host that is cancelled ends it as `process cancelled`, also if it stops then."""
    for drain in (0, 5):
        async with host.node.open_host("app:other", drain=drain) as other:
            pid = await other.spawn(way)
            await trio.testing.wait_all_tasks_blocked()
            other.abort()
        assert text(await host.node.wait(pid)) == "process cancelled"


async def test_what_was_decided_before_an_abort_counts_alike(host: Host, way: Any) -> None:
    """E40: the first forced end wins, also if its host is cancelled in the same turn."""
    async with host.node.open_host("app:other") as other:
        pid = await other.spawn(way)
        await trio.testing.wait_all_tasks_blocked()
        host.node.terminate(pid)
        other.abort()
    assert text(await host.node.wait(pid)) == "process terminated"


async def test_unread_messages_survive_an_upgrade_alike(host: Host, way: Any) -> None:
    """U3, V6: an async process that becomes any of them keeps PID, name and unread messages."""

    async def before(ctx: ProcessContext) -> None:
        ctx.register("stays")
        ctx.send(ctx.pid, "register", ("second",))
        ctx.send(ctx.pid, "return", ())
        if isinstance(way, type):
            await ctx.upgrade(way)
        await ctx.upgrade(way)

    pid = await host.spawn(before)
    assert text(await host.node.wait(pid)) == "value"


async def test_fatal_exception_leaves_the_host_alike(
    way: Any, autojump_clock: trio.testing.MockClock
) -> None:
    """E38, PH7, SU9: it propagates through the host; the others are asked to stop."""

    async def fatal(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        raise SystemExit(3)

    class Fatal(way if isinstance(way, type) else Plain):  # type: ignore[misc]
        @handles("fail")
        def fail(self, message: Any) -> None:
            raise SystemExit(3)

    ends: list[str] = []
    with pytest.raises(SystemExit) as caught:
        async with open_node() as node, node.open_host("app:main") as host:
            pid = await host.spawn(Fatal if isinstance(way, type) else fatal)
            for other in (Plain, Tasked, function):
                living = node.processes[await host.spawn(other)]
                living.on_exit(lambda end: ends.append(text(end)))
            await trio.testing.wait_all_tasks_blocked()
            node.send(pid, "fail", ())
            await trio.sleep_forever()
    assert (caught.value.code, ends) == (3, ["value"] * 3)


async def test_any_exception_is_told_and_logged_alike(
    host: Host, way: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """E30, PY12: `<Type>: <text>` for the others, one traceback in the log."""

    async def raises(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        raise KeyError("k")

    class Raising(way if isinstance(way, type) else Plain):  # type: ignore[misc]
        @handles("fail")
        def fail(self, message: Any) -> None:
            raise KeyError("k")

    pid = await host.spawn(Raising if isinstance(way, type) else raises)
    host.node.send(pid, "fail", ())
    assert text(await host.node.wait(pid)) == "KeyError: 'k'"
    assert [(r.levelname, r.exc_info is not None) for r in caplog.records] == [("ERROR", True)]


async def test_limit_of_the_host_counts_alike(host: Host, way: Any) -> None:
    """W8, V4: a place is taken by the spawn and free at the end."""
    async with host.node.open_host("app:small", max_processes=1, drain=0) as small:
        for _ in range(3):
            pid = await small.spawn(way)
            with pytest.raises(ProcessUnavailable):
                small.spawn_soon(way)
            host.node.terminate(pid)
            await host.node.wait(pid)


async def test_context_is_void_after_the_end_alike(host: Host, way: Any) -> None:
    """PY14: whoever kept the context of an ended process gets `no process context`."""
    pid = await host.spawn(way)
    ctx = host.node.processes[pid].context
    assert ctx is not None
    host.node.terminate(pid)
    await host.node.wait(pid)
    with pytest.raises(ProcessInvalid, match=r"^no process context$"):
        ctx.send(pid, "t")
