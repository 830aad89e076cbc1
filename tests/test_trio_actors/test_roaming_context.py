"""What a function sees of itself while it has no task, and what others see of it."""

from __future__ import annotations

import contextvars
import dis
import io
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from roaming import has_task

import trio_actors
from trio_actors import Host, Pid, ProcessContext
from trio_actors._core.function import function_target
from trio_actors._core.unwinding import quiet, waits_in_a_channel

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


# -- context


async def test_context_variables_belong_to_one_function(host: Host, way: str) -> None:
    """DE12: kept over messages and waits, seen by child tasks; inherited from who spawns."""
    found: dict[Pid, list[str]] = {}

    async def function(ctx: ProcessContext, value: str | None, sleeps: bool) -> None:
        looked = found[ctx.pid] = [VARIABLE.get()]

        async def child() -> None:
            looked.append(VARIABLE.get())

        if value is not None:
            VARIABLE.set(value)
        for _ in range(2):
            await ctx.inbox.receive()
            looked.append(VARIABLE.get())
        ctx.start_task(child)
        await ctx.inbox.receive()
        if sleeps:
            await trio.sleep(1)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child)
        looked.append(VARIABLE.get())

    pids: list[Pid] = []
    for value in ("a", None, "b"):
        for sleeps in (False, True):
            VARIABLE.set(f"spawner of {value}")
            pids.append(host.spawn_soon(function, value, sleeps))
    VARIABLE.set("later")
    for _ in range(3):
        for pid in pids:
            host.node.send(pid, "go on")
        await trio.testing.wait_all_tasks_blocked()
    await host.join()
    expected = []
    for value in ("a", None, "b"):
        own, spawner = value or f"spawner of {value}", f"spawner of {value}"
        expected += [[spawner] + [own] * 4, [spawner] + [own] * 5]
    assert [found[pid] for pid in pids] == expected
    assert VARIABLE.get() == "later"


async def test_the_running_process_is_known_wherever_a_function_runs(host: Host, way: str) -> None:
    """DE12: `current()` from the first line to the last, in `finally` and in conditions too."""
    found: dict[Pid, list[Pid]] = {}

    def note(log: list[Pid]) -> None:
        log.append(trio_actors.current().pid)

    async def child(log: list[Pid]) -> None:
        note(log)
        await trio.sleep(1)
        note(log)

    async def function(ctx: ProcessContext) -> None:
        log = found[ctx.pid] = []
        try:
            note(log)
            await ctx.inbox.receive()
            note(log)
            await ctx.checkpoint()
            note(log)
            await ctx.inbox.receive()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child, log)
            note(log)
            await ctx.inbox.receive()
        finally:
            note(log)

    pids = [await host.spawn(function) for _ in range(3)]
    for _ in range(2):
        for pid in pids:
            host.node.send(pid, "go on")
        await trio.testing.wait_all_tasks_blocked()
    await trio.sleep(2)
    for pid in pids:
        host.node.terminate(pid)
    await host.join()
    assert found == {pid: [pid] * 7 for pid in pids}
    with pytest.raises(trio_actors.ProcessInvalid, match="no process context"):
        trio_actors.current()


# -- from outside


@pytest.mark.parametrize("tasked", [False, True])
async def test_a_dump_shows_where_a_function_waits(host: Host, way: str, tasked: bool) -> None:
    """A stuck program can be looked into: the line of the code, with a task or without."""

    async def helper(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()  # the inner line

    async def function(ctx: ProcessContext) -> None:
        if tasked:
            await trio.sleep(1)
        await helper(ctx)  # the outer line

    pid = await host.spawn(function)
    await trio.sleep(2)
    assert has_task(host, pid) is (tasked or way == "task")
    (line,) = (line for line in trio_actors.sys.dump(host.node).splitlines() if pid in line)
    assert ": idle, up 2.0 s, 0 unread; waits at " in line
    assert "test_roaming_context.py" in line
    assert line.endswith("# the inner line")
    frames = [frame.f_code for frame, _ in host.node.processes[pid].drive.frames()]
    inner = frames.index(helper.__code__)
    assert frames[inner - 1] is function.__code__


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this platform has no SIGUSR1")
async def test_a_signal_shows_functions_that_have_no_task(host: Host) -> None:
    """As `dump`, in a running program."""

    async def function(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()  # this line

    await host.spawn(function)
    shown = io.StringIO()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio_actors.sys.dump_on_signal, host.node, file=shown))
        os.kill(os.getpid(), signal.SIGUSR1)
        with trio.fail_after(5):
            while "# this line" not in shown.getvalue():
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def test_what_a_function_is_doing_is_told(host: Host, way: str) -> None:
    """PH8: `ready` before its first step, `idle` while it waits for messages, else `blocked`."""

    async def function(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        await trio.sleep(1)
        await ctx.receive("number")
        await ctx.events.receive()

    def doing() -> str:
        return host.node.processes[pid].doing()

    pid = host.spawn_soon(function)
    found = [doing()]
    for act in (
        lambda: None,
        lambda: host.node.send(pid, "go on"),
        lambda: None,
        lambda: host.node.send(pid, "other"),
        lambda: host.node.send(pid, "number"),
    ):
        act()
        await trio.testing.wait_all_tasks_blocked()
        found.append(doing())
        if found[-1] == "blocked":
            await trio.sleep(1)
    assert found == ["ready", "idle", "blocked", "idle", "idle", "idle"]
    assert host.statistics().by_state == {"idle": 1}


async def test_an_unread_message_has_its_age(host: Host, way: str) -> None:
    """PH8: what a function that waits for something else has passed over."""

    async def function(ctx: ProcessContext) -> None:
        await ctx.receive("wanted")

    pid = await host.spawn(function)
    await trio.testing.wait_all_tasks_blocked()
    for age in range(3):
        host.node.send(pid, "other")
        await trio.sleep(1)
        view = trio_actors.sys.view(host.node, pid)
        assert (view.mailbox, view.oldest_unread) == (age + 1, age + 1)


# -- whether code can tell by what it is unwound


async def plain(ctx: ProcessContext) -> None:
    while True:
        message = await ctx.inbox.receive()
        if message.payload:
            ctx.send(message.sender, "reply")


async def loops(ctx: ProcessContext) -> int:
    number = 0
    async for message in ctx.inbox:
        number += message.payload
    return number


async def catches(ctx: ProcessContext) -> None:
    try:
        await ctx.inbox.receive()
    except ValueError:
        pass


async def cleans_up(ctx: ProcessContext) -> None:
    try:
        await ctx.inbox.receive()
    finally:
        print()


async def with_a_block(ctx: ProcessContext) -> None:
    with trio.CancelScope():
        await ctx.inbox.receive()


async def with_an_async_block(ctx: ProcessContext) -> None:
    async with trio.open_nursery():
        await ctx.inbox.receive()


async def catches_groups(ctx: ProcessContext) -> None:
    try:
        await ctx.inbox.receive()
    except* ValueError:
        pass


async def catches_elsewhere(ctx: ProcessContext) -> None:
    await ctx.inbox.receive()
    try:
        ctx.send("nobody", "topic")
    except trio_actors.ProcessError:
        pass


QUIET = [plain, loops]
LOUD = [
    catches,
    cleans_up,
    with_a_block,
    with_an_async_block,
    catches_groups,
    catches_elsewhere,
]


@pytest.mark.parametrize("function", [*QUIET, *LOUD])
def test_code_without_handlers_is_quiet(function: Callable[..., Any]) -> None:
    """PY10: it cannot tell cancellation from being closed."""
    assert quiet(function.__code__) is (function in QUIET)  # type: ignore[attr-defined]
    assert function_target(function).quiet is (function in QUIET)


def test_code_that_cannot_be_known_is_not_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """PY10: an object that is called, and a Python whose handlers begin in another way."""
    assert not quiet(None)
    monkeypatch.setattr(dis, "opmap", {})
    assert not quiet(plain.__code__)


class Other:
    """An awaitable of a class of its own."""

    def __init__(self, ctx: ProcessContext) -> None:
        self.ctx = ctx

    def __await__(self) -> Any:
        return self.ctx.inbox.receive().__await__()


async def numbers(ctx: ProcessContext) -> AsyncIterator[Any]:
    try:
        async for message in ctx.inbox:
            yield message.payload
    finally:
        VARIABLE.set("unwound")


async def by_receive(ctx: ProcessContext) -> None:
    await ctx.receive()


async def by_helper(ctx: ProcessContext) -> None:
    await plain(ctx)


async def by_object(ctx: ProcessContext) -> None:
    await Other(ctx)


async def by_generator(ctx: ProcessContext) -> None:
    async for _ in numbers(ctx):
        pass


async def by_pausing(ctx: ProcessContext) -> None:
    await ctx.inbox.receive_where(lambda message: False)


CHANNEL = [plain, loops, by_receive]
ELSEWHERE = [by_helper, by_object, by_generator, by_pausing]


@pytest.mark.parametrize("function", [*CHANNEL, *ELSEWHERE])
async def test_only_a_receive_is_known_not_to_tell(
    host: Host, function: Callable[..., Awaitable[None]]
) -> None:
    """PY10: what code awaits may have handlers too, so only the framework's own is trusted."""
    pid = await host.spawn(function)
    await trio.testing.wait_all_tasks_blocked()
    assert not has_task(host, pid)
    drive: Any = host.node.processes[pid].drive
    assert waits_in_a_channel(drive.code) is (function in CHANNEL)
    host.node.terminate(pid)
    await host.node.wait(pid)
