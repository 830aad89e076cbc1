"""Upgrades of functions: the old code is unwound wherever it is, with a task or without."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
import trio
import trio.testing
from carriers import at_rest
from roaming import MOMENTS, UNWOUND, code, handled, has_task, rest, shown

from trio_actors import Host, Message, ProcessContext, ProcessError, Server, handles


async def reads_on(ctx: ProcessContext, log: list[Any]) -> None:
    """New code: notes its messages."""
    log.append("new")
    async for message in ctx.inbox:
        log.append(message.payload)


async def sleeps_first(ctx: ProcessContext, log: list[Any]) -> None:
    """New code that needs a task."""
    await trio.sleep(1)
    await reads_on(ctx, log)


class Reads(Server):
    """New code that is a server."""

    def init(self, log: list[Any]) -> None:
        self.log = log
        log.append("new")

    @handles("number")
    def number(self, message: Message) -> None:
        self.log.append(message.payload)

    @handles("other")
    def other(self, message: Message) -> None:
        self.log.append(message.payload)


NEW: list[Any] = [reads_on, sleeps_first, Reads]
WOKEN = ["reading", "receiving", "receiving many"]  # by any message
RESTING = [moment for moment in MOMENTS if moment not in ("before", "woken")]


@pytest.mark.parametrize("new", NEW)
@pytest.mark.parametrize("handlers", ["nothing", "finally", "swallow"])
@pytest.mark.parametrize("moment", RESTING)
async def test_a_child_task_upgrades_a_function_at_any_moment(
    host: Host, way: str, moment: str, handlers: str, new: Any
) -> None:
    """PY11, U1, U3: the old code has unwound; what it has not read is read by the new, in order."""
    log: list[Any] = []
    asked = trio.Event()

    async def child(ctx: ProcessContext) -> None:
        await asked.wait()
        for number in range(1, 4):
            ctx.send(ctx.pid, "other", number)
        await ctx.upgrade(new, log)

    async def function(ctx: ProcessContext) -> Any:
        ctx.start_task(child, ctx)
        return await handled(handlers, code(moment, log), log)(ctx)

    pid = host.spawn_soon(function, messages=[("begin",)] if moment == "sleeping later" else [])
    for _ in range(20):
        await trio.lowlevel.checkpoint()
    begun = [what for what in log if what != "turn"]
    asked.set()
    await trio.sleep(3)
    host.node.send(pid, "other", 4)
    await rest()
    woken = [1] if moment in WOKEN else []  # by that message, before the upgrade
    left = [number for number in range(1, 5) if number not in woken]
    found = [what for what in log if what != "turn"]
    assert found == [*begun, *woken, *UNWOUND[handlers], "new", *left]
    host.node.terminate(pid)
    assert shown(await host.node.wait(pid)) == "process terminated"
    await at_rest(host)


@pytest.mark.parametrize("new", NEW)
@pytest.mark.parametrize("sleeps", [False, True])
async def test_a_function_upgrades_itself(host: Host, way: str, sleeps: bool, new: Any) -> None:
    """U1, U3, PY11: in its own turn, before and after a wait; what it has unread stays in order."""
    log: list[Any] = []

    async def function(ctx: ProcessContext) -> None:
        other = ctx.listen("other")
        await ctx.receive("upgrade")
        if sleeps:
            await trio.sleep(1)
        try:
            await ctx.upgrade(new, log)
        except trio.Cancelled:
            log.append("Cancelled")
            raise
        finally:
            log.append(len(other))

    pid = await host.spawn(function)
    await rest()
    for number in range(5):
        host.node.send(pid, "number", number)
    host.node.send(pid, "upgrade", "upgrade")
    for number in range(5, 10):
        host.node.send(pid, "number", number)
    await trio.sleep(3)
    assert log == ["Cancelled", 0, "new", *range(10)]


async def test_what_a_process_keeps_when_it_is_upgraded(host: Host, way: str) -> None:
    """U3, U4, K9: PID, names, links, monitors, deadline, context variables; not `trap_links`."""
    node = host.node
    found: list[Any] = []

    async def new(ctx: ProcessContext, state: str) -> None:
        found.append(
            (ctx.pid, ctx.lookup("name"), state, ctx.options.trap_links, dict(ctx.context))
        )
        found.append(trio.current_effective_deadline())
        async for _ in ctx.inbox:
            found.append(trio.current_effective_deadline())

    async def old(ctx: ProcessContext) -> None:
        ctx.options.trap_links = True
        ctx.send_after(1, "timer")
        await ctx.receive("upgrade")
        await ctx.upgrade(new, "state")

    async def peer(ctx: ProcessContext, other: str) -> None:
        ctx.link(other)
        await ctx.receive()

    pid = await host.spawn(old, name="name", context={"key": "value"})
    linked = await host.spawn(peer, pid)
    await rest()
    node.cancel(pid, 5)
    node.send(pid, "upgrade")
    await trio.sleep(2)
    node.send(pid, "number")
    assert shown(await node.wait(pid)) == "cancel deadline exceeded"
    assert trio.current_time() == 5
    assert found == [(pid, pid, "state", False, {"key": "value"}), 5, 5]
    assert shown(await node.wait(linked)) == "linked process failed"
    assert (await node.wait(linked)).cause.by == pid


async def test_a_function_can_be_upgraded_to_itself_again_and_again(host: Host, way: str) -> None:
    """U2, U6: a call gets the value of the last code; each time it has no task at first."""
    tasks: list[bool] = []

    async def counts(ctx: ProcessContext, number: int | None) -> int:
        count = number or 0
        if count == 3:
            return count
        ctx.send(ctx.pid, "go on")
        await ctx.receive()
        await ctx.checkpoint()
        tasks.append(has_task(host, ctx.pid))
        return await ctx.upgrade(None, count + 1)

    assert await host.node.call(counts, host=host) == 3
    assert len(tasks) == 3
    assert tasks[0] is (way == "task")
    assert tasks[2] is True  # to wait for its own end it has needed one
    await at_rest(host)


@pytest.mark.parametrize("rests", [False, True])
@pytest.mark.parametrize("reason", ["unknown", "unwinding", "child"])
async def test_an_upgrade_that_fails_is_the_end(
    host: Host, way: str, reason: str, rests: bool
) -> None:
    """U5, E35, PY11: unknown code, old code that fails while it unwinds, or a child that does."""

    async def fails() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("child failed")

    async def upgrades(ctx: ProcessContext) -> None:
        await ctx.upgrade("app:unknown" if reason == "unknown" else code("reading", []))

    async def function(ctx: ProcessContext) -> None:
        if reason == "child":
            ctx.start_task(fails)
        await ctx.receive("begin")
        try:
            if rests:
                ctx.start_task(upgrades, ctx)
                await ctx.receive("never")
            else:
                await upgrades(ctx)
        finally:
            if reason == "unwinding":
                raise ValueError("old code failed")

    pid = await host.spawn(function)
    await rest()
    host.node.send(pid, "begin")
    end = shown(await host.node.wait(pid))
    assert end.startswith("upgrade failed: ")
    assert {"unknown": "not found", "unwinding": "old code", "child": "child"}[reason] in end


@pytest.mark.parametrize("how", ["terminate", "deadline"])
async def test_a_forced_end_comes_before_an_upgrade(host: Host, way: str, how: str) -> None:
    """E40: decided while the old code unwinds; the new code does not begin."""
    log: list[Any] = []

    async def function(ctx: ProcessContext) -> None:
        try:
            await ctx.receive()
            await ctx.upgrade(reads_on, log)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    pid = await host.spawn(function)
    host.node.send(pid, "upgrade")
    await trio.sleep(1)
    host.node.terminate(pid) if how == "terminate" else host.node.cancel(pid, 0.5)
    end = shown(await host.node.wait(pid))
    assert end == {"terminate": "process terminated", "deadline": "cancel deadline exceeded"}[how]
    assert (log, trio.current_time()) == ([], 2)


async def test_a_server_can_become_a_function_and_a_function_a_server(host: Host, way: str) -> None:
    """U1: there and back, with messages unread each time."""
    log: list[Any] = []

    class Serves(Server):
        @handles("number")
        def number(self, message: Message) -> None:
            log.append(("server", message.payload))
            self.upgrade(function)

    async def function(ctx: ProcessContext) -> None:
        message = await ctx.receive()
        log.append(("function", message.payload))
        await ctx.upgrade(Serves)

    pid = await host.spawn(Serves)
    for number in range(6):
        host.node.send(pid, "number", number)
    await rest()
    assert log == [(("server", "function")[number % 2], number) for number in range(6)]


@pytest.mark.parametrize(
    ("state", "got"), [(6, (6,)), (None, ()), ((1, 2), ((1, 2),))], ids=["value", "none", "tuple"]
)
async def test_a_function_gets_the_state_of_the_server_before_it(
    host: Host, way: str, state: Any, got: tuple[Any, ...]
) -> None:
    """U1: the state itself is its argument; None is none, so a default counts."""

    async def function(ctx: ProcessContext, *args: Any) -> tuple[Any, ...]:
        return args

    async def defaults(ctx: ProcessContext, n: Any = "default") -> Any:
        return n

    class Old(Server):
        @handles("go")
        def go(self, message: Message) -> None:
            self.upgrade(message.payload, state)

    for new, value in ((function, got), (defaults, *(got or ("default",)))):
        pid = await host.spawn(Old)
        host.node.send(pid, "go", new)
        assert (await host.node.wait(pid)).value == value


async def test_new_code_has_no_deadline_of_others(host: Host, way: str) -> None:
    """K6: who is upgraded in a turn of a limited process sees none."""
    found: list[float] = []

    async def new(ctx: ProcessContext) -> None:
        found.append(trio.current_effective_deadline())

    async def old(ctx: ProcessContext) -> None:
        await ctx.receive()
        await ctx.upgrade(new)

    async def limited(ctx: ProcessContext) -> None:
        await ctx.receive()
        assert trio.current_effective_deadline() == 5
        raise ProcessError("failed")

    pids = [await host.spawn(limited), await host.spawn(old)]
    await rest()
    host.node.cancel(pids[0], 5)
    for pid in pids:
        host.node.send(pid, "go on")
    assert [shown(await host.node.wait(pid)) for pid in pids] == ["failed", None]
    assert found == [inf]


@pytest.mark.parametrize("handlers", ["nothing", "finally"])
@pytest.mark.parametrize("moment", ["reading", "choosing", "listening"])
async def test_what_comes_after_an_upgrade_was_decided_is_read_by_the_new_code(
    host: Host, way: str, moment: str, handlers: str
) -> None:
    """U3: the old code rests in a channel, and is not given it any more."""
    log: list[Any] = []
    pid = await host.spawn(handled(handlers, code(moment, log), log))
    await rest()
    process = host.node.processes[pid]
    process.upgrade = (reads_on, (log,))
    process.drive.interrupt()
    for number in range(3):
        host.node.send(pid, "number", number)
    await trio.sleep(2)
    begun = ["begun"] if moment == "reading" else []
    assert log == [*begun, *UNWOUND[handlers], "new", 0, 1, 2]
