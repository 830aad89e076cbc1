"""What a dump says about each process: unread messages, their age, and what it waits for."""

from __future__ import annotations

import io
import os
import re
import signal
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import pytest
import trio
import trio.testing

from supervision import Supervisor, child
from trio_actors import Ask, Host, Node, ProcessContext, Server, handles
from trio_actors.sys import dump, dump_on_signal


@attrs.frozen
class Get(Ask[int]):
    """A request."""


class Kept(Server):
    """Answers nobody, and has no task."""

    @handles(Get)
    def get(self, request: Get) -> None:
        self.kept = self.defer()


class Slow(Server):
    """Has a task, and handles for ever."""

    @handles(Get)
    async def get(self, request: Get) -> int:
        await trio.sleep_forever()
        return 1


async def asks(ctx: ProcessContext, whom: str) -> None:
    await ctx.ask(whom, Get())


async def asks_for_a_while(ctx: ProcessContext, whom: str) -> None:
    await ctx.ask(whom, Get(), timeout=60)


async def calls(ctx: ProcessContext) -> None:
    await ctx.call(sleeps)


async def sleeps(ctx: ProcessContext) -> None:
    await trio.sleep_forever()


async def lines_of(node: Node) -> dict[str, str]:
    """The lines of each process, by its id without the module, as soon as nothing moves."""
    await trio.testing.wait_all_tasks_blocked()
    found: dict[str, str] = {}
    id = ""
    for line in dump(node).splitlines()[1:]:
        if line.lstrip().startswith("{"):
            id = re.split(r"[:.]", line.split(": ")[0])[-1]
            found[id] = line
        else:
            found[id] += "\n" + line
    return found


@pytest.mark.parametrize("server", [Kept, Slow])
@pytest.mark.parametrize("asker", [asks, asks_for_a_while])
async def test_the_callee_of_an_ask_is_named(
    host: Host, server: type[Server], asker: Callable[..., Awaitable[None]]
) -> None:
    """The line of the caller's code, and the process that has not answered."""
    pid = await host.spawn(server)
    await host.spawn(asker, pid)
    lines = await lines_of(host.node)
    name = asker.__qualname__
    assert "await ctx.ask(whom, Get()" in lines[name]
    assert lines[name].endswith(f" (for {pid})")
    assert ("await trio.sleep_forever()" in lines[server.__name__]) is (server is Slow)


async def test_the_process_that_a_call_waits_for_is_named(host: Host) -> None:
    """The callee is a child of the caller in the tree as well."""
    await host.spawn(calls)
    lines = await lines_of(host.node)
    callee = next(p for p in host.node.processes.values() if p.id.endswith(":sleeps"))
    assert lines["calls"].endswith(f"await ctx.call(sleeps) (for {callee.pid})")


async def test_every_task_of_a_process_has_its_line(host: Host) -> None:
    """TM3: the main function first, then its nurseries' tasks and its child tasks."""

    async def waiter(event: trio.Event) -> None:
        await event.wait()

    async def other() -> None:
        await trio.sleep_forever()

    async def parent(ctx: ProcessContext) -> None:
        ctx.start_task(other)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiter, trio.Event())
            nursery.start_soon(waiter, trio.Event())

    await host.spawn(parent)
    first, *rest = (await lines_of(host.node))["parent"].splitlines()
    assert "async with trio.open_nursery() as nursery:" in first
    assert [line.rpartition(": ")[2] for line in rest] == [
        "await event.wait()",
        "await trio.sleep_forever()",
    ]
    assert all(line.strip().startswith("and at ") for line in rest)


async def test_no_more_than_five_places_of_a_process(host: Host) -> None:
    """What is left out is counted."""
    source = "\n".join(f"async def f{n}(): await sleep()" for n in range(8))
    space = {"sleep": trio.sleep_forever, "__name__": "many"}
    exec(source, space)

    async def parent(ctx: ProcessContext) -> None:
        async with trio.open_nursery() as nursery:
            for n in range(8):
                nursery.start_soon(space[f"f{n}"])

    await host.spawn(parent)
    lines = (await lines_of(host.node))["parent"].splitlines()
    assert (len(lines), lines[-1].strip()) == (6, "and at 4 more places")


async def test_a_supervisor_has_no_line_of_its_own(host: Host) -> None:
    """It is where its code is; its children stand below it."""
    await host.spawn(Supervisor(children=[child("sleeps", sleeps)]), ready=True)
    lines = await lines_of(host.node)
    assert "; waits at supervision.supervisor." in lines["supervisor"]
    assert "await trio.sleep_forever()" in lines["sleeps"]


async def test_an_unread_message_has_its_age(
    host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """PH8: depth and age of the oldest; who waits for messages in no task shows no line."""
    pid = await host.spawn(sleeps)
    await host.spawn(Kept)
    await trio.sleep(1)
    host.node.send(pid, "a")
    await trio.sleep(2)
    host.node.send(pid, "b")
    lines = await lines_of(host.node)
    assert ": blocked, up 3.0 s, 2 unread, the oldest for 2.0 s; waits at " in lines["sleeps"]
    assert lines["Kept"].endswith(": idle, up 3.0 s, 0 unread; waits for messages")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this platform has no SIGUSR1")
async def test_a_program_shows_its_dump_for_each_signal(host: Host) -> None:
    """In a program of one's own: a task of any nursery; the handler of before comes back."""
    before = signal.getsignal(signal.SIGUSR1)
    await host.spawn(sleeps, name="sleeper")
    shown = io.StringIO()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(dump_on_signal, host.node, file=shown))
        for count in (1, 2):
            os.kill(os.getpid(), signal.SIGUSR1)
            with trio.fail_after(5):
                while shown.getvalue().count("[sleeper]") < count:
                    await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert signal.getsignal(signal.SIGUSR1) == before
