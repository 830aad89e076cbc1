"""What ended processes leave behind: nothing (design.md §5: objects few and acyclic)."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from trio_actors import (
    Ask,
    Host,
    Message,
    Node,
    Process,
    ProcessContext,
    ProcessError,
    Server,
    handles,
)

COUNT = 100


async def objects_in_cycles(work: Callable[[], Awaitable[object]]) -> int:
    """How many objects only the collector frees, when this is done for the second time."""
    await work()
    gc.collect()
    gc.disable()
    try:
        await work()
        return gc.collect()
    finally:
        gc.enable()


async def idle(ctx: ProcessContext) -> None:
    """Waits for ever."""
    await trio.sleep_forever()


async def returns(ctx: ProcessContext) -> int:
    """A value."""
    return 5


async def fails(ctx: ProcessContext) -> None:
    """An error of its own."""
    raise ProcessError("no")


async def fails_in_a_nursery(ctx: ProcessContext) -> None:
    """A group."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fails, ctx)
        nursery.start_soon(idle, ctx)


async def reads(ctx: ProcessContext) -> None:
    """Opens everything there is to read."""
    ctx.events, ctx.listen("topic"), ctx.listen("other", message=True)
    ctx.send(ctx.pid, "go")
    await ctx.inbox.receive()


async def leaves_unread(ctx: ProcessContext) -> None:
    """Ends with messages unread and a task that waits."""
    ctx.send(ctx.pid, "topic", object())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ctx.listen("nothing").receive)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def spawns(ctx: ProcessContext) -> None:
    """Children in every form."""
    ctx.options.trap_links = True
    await ctx.spawn(returns, link=True, monitor=True, name=f"child of {ctx.pid}")
    await ctx.events.receive()
    await ctx.call(returns)
    try:
        await ctx.call(fails)
    except ProcessError:
        pass
    ctx.terminate(await ctx.spawn(idle, context={"a": 1}))


async def upgrades(ctx: ProcessContext, n: Any) -> None:
    """Two times."""
    ctx.inbox
    if (n or 0) < 2:
        await ctx.upgrade(None, (n or 0) + 1)


async def signals_ready(ctx: ProcessContext) -> None:
    """Readiness, then the end."""
    ctx.started()


async def owns(ctx: ProcessContext) -> None:
    """Timers, fired and not, and tasks that end and do not."""

    async def task() -> None:
        ctx.send(ctx.pid, "task")

    ctx.send_after(0, "timer")
    ctx.send_after(100, "later")
    ctx.start_task(task)
    ctx.start_task(trio.sleep_forever)
    for _ in range(2):
        await ctx.inbox.receive()


async def fails_in_a_task(ctx: ProcessContext) -> None:
    """Its own error."""
    ctx.start_task(fails, ctx)
    await ctx.inbox.receive()


async def watches(ctx: ProcessContext) -> None:
    """By a handle."""
    pid = await ctx.spawn(idle)
    async with ctx.monitoring(pid) as down:
        ctx.terminate(pid)
        await down


Body = Callable[..., Awaitable[Any]]


def remaining(node: Node) -> int:
    """How many records of processes of this node are left."""
    return sum(isinstance(o, Process) and o.node is node for o in gc.get_objects())


class Get(Ask[int]):
    """A question."""


class Plain(Server):
    """Stepped by the dispatcher."""

    def init(self) -> None:
        self.ctx.register(f"name of {self.ctx.pid}")

    @handles(Get)
    def get(self, request: Get) -> int:
        return 1


class Tasked(Server):
    """A task of its own."""

    @handles(Get)
    async def get(self, request: Get) -> int:
        return 1


@pytest.mark.parametrize("end", ["terminate", "cancel", "deadline"])
@pytest.mark.parametrize("server", [Plain, Tasked])
async def test_ended_server_is_freed_without_the_garbage_collector(
    host: Host, server: type[Server], end: str
) -> None:
    """No reference cycles: the same holds for servers, asked before and after their start."""
    node = host.node

    async def live() -> None:
        for _ in range(COUNT):
            pid = await host.spawn(server)
            assert [await node.ask(pid, Get()), await node.ask(pid, Get())] == [1, 1]
            if end == "terminate":
                node.terminate(pid)
            else:
                node.cancel(pid, 1 if end == "deadline" else None)
        await host.join()
        await trio.testing.wait_all_tasks_blocked()

    cyclic = await objects_in_cycles(live)
    assert cyclic < COUNT / 2, f"{cyclic} objects of {COUNT} servers in cycles"
    assert remaining(node) == 0
    assert not [o for o in gc.get_objects() if isinstance(o, server)]


@attrs.frozen
class Refuse(Ask[int]):
    """A question that is not answered well."""


class Refuses(Server):
    """Stepped."""

    @handles(Refuse)
    def refuse(self, request: Refuse) -> int:
        raise ProcessError("no")


class Drops(Server):
    """Defers, and forgets."""

    @handles(Refuse)
    def refuse(self, request: Refuse) -> None:
        self.defer()


class RefusesAsync(Server):
    """With an async handler."""

    @handles(Refuse)
    async def refuse(self, request: Refuse) -> int:
        raise ProcessError("no")


class Keeps(Server):
    """Lets its callers wait."""

    @handles(Refuse)
    def refuse(self, request: Refuse) -> None:
        self.request = self.defer()


class Fails(Server):
    """Ends."""

    @handles(Refuse)
    async def refuse(self, request: Refuse) -> int:
        raise LookupError


@pytest.mark.parametrize("timeout", [None, 1])
@pytest.mark.parametrize("server", [Refuses, RefusesAsync, Drops, Keeps, Fails])
async def test_an_ask_that_fails_leaves_nothing_to_the_garbage_collector(
    host: Host, server: type[Server], timeout: float | None
) -> None:
    """No reference cycles: not of an error, the frames it has passed, and who was answered."""
    if server is Keeps:
        timeout = 1

    async def ask() -> None:
        for _ in range(COUNT):
            pid = await host.spawn(server)
            with contextlib.suppress(ProcessError):
                await host.node.ask(pid, Refuse(), timeout=timeout)
            with contextlib.suppress(ProcessError):
                host.node.terminate(pid)
        await host.join()
        await trio.testing.wait_all_tasks_blocked()

    cyclic = await objects_in_cycles(ask)
    assert cyclic < COUNT / 2, f"{cyclic} objects of {COUNT} asks in cycles"


class Moves(Server):
    """Goes on as itself, once."""

    @handles("move")
    def move(self, message: Message) -> None:
        self.upgrade(None)

    @handles("stop")
    def end(self, message: Message) -> None:
        self.stop()

    def migrate(self, old_version: int, state: Any) -> None:
        pass


async def test_an_upgraded_server_leaves_nothing_to_the_garbage_collector(host: Host) -> None:
    """U4: what it was before is freed at once."""

    async def live() -> None:
        for _ in range(COUNT):
            pid = await host.spawn(Moves)
            host.node.send(pid, "move")
            host.node.send(pid, "stop")
        await host.join()
        await trio.testing.wait_all_tasks_blocked()

    cyclic = await objects_in_cycles(live)
    assert cyclic < COUNT / 2, f"{cyclic} objects of {COUNT} servers in cycles"


async def live_and_die(host: Host, body: Body) -> None:
    """COUNT processes of this kind, all ended."""
    for _ in range(COUNT):
        pid = await host.spawn(body, ready=body is signals_ready)
        if body is idle:
            host.node.terminate(pid)
    await host.join()
    await trio.testing.wait_all_tasks_blocked()


BODIES = [
    returns,
    fails,
    fails_in_a_nursery,
    fails_in_a_task,
    reads,
    leaves_unread,
    spawns,
    upgrades,
    owns,
    watches,
    idle,
]


@pytest.mark.parametrize("body", [*BODIES, signals_ready], ids=lambda body: body.__name__)
async def test_ended_process_is_freed_without_the_garbage_collector(host: Host, body: Body) -> None:
    """No reference cycles: what ends is freed at once, whichever way it ends."""
    cyclic = await objects_in_cycles(lambda: live_and_die(host, body))
    assert cyclic < COUNT / 2, f"{cyclic} objects of {COUNT} processes in cycles"
    assert remaining(host.node) == 0


async def test_exit_memory_keeps_no_frames(host: Host) -> None:
    """PH6: a remembered exit does not keep the locals of the code that raised it."""

    class Big:
        pass

    async def body(ctx: ProcessContext) -> None:
        big = Big()
        raise ProcessError(f"with {type(big).__name__}")

    pid = await host.spawn(body)
    end = await host.node.wait(pid)
    assert str(end.error) == "with Big"
    assert not [o for o in gc.get_objects() if isinstance(o, Big)]


async def test_tables_are_empty_when_everybody_has_ended(node: Node) -> None:
    """N6, R7: topology, names and processes hold nothing of the ended."""
    async with node.open_host("app:a") as host:
        for body in BODIES:
            if body is not idle:
                await live_and_die(host, body)
    topology = node.topology
    assert (node.processes, node.names.by_name) == ({}, {})
    tables = [getattr(topology, name) for name in topology.__slots__]
    assert tables == [{}] * len(tables)


async def test_many_unread_messages_do_not_slow_a_selective_receive_of_another_topic(
    host: Host,
) -> None:
    """L5: a full inbox costs the reader of a topic channel nothing."""

    async def body(ctx: ProcessContext) -> int:
        ctx.inbox
        channel = ctx.listen("wanted")
        for _ in range(100_000):
            ctx.send(ctx.pid, "noise")
        ctx.send(ctx.pid, "wanted", 1)
        await channel.receive()
        return len(ctx.inbox)

    assert await host.node.call(body, host=host) == 100_000
