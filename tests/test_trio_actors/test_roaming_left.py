"""What functions leave behind: nothing, or what a task of their own would have left."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing
from carriers import Wait, Worker, at_rest
from roaming import TEXTS as FORCED
from roaming import code, force, has_task, rest, shown

from trio_actors import Host, Node, Pid, Process, ProcessContext, ProcessError
from trio_actors._core import task
from trio_actors._core.function import FunctionBody
from trio_actors._core.roaming import Roaming

# -- what is left behind


ENDS = ["return", "fail", "terminate", "terminate while it sleeps"]


async def ending(ctx: ProcessContext, end: str) -> str:
    """Ends in this way, or waits for that."""
    if "sleeps" in end:
        await trio.sleep_forever()
    await ctx.receive()
    if end == "fail":
        raise ProcessError("failed")
    return "returned"


async def bring_about(host: Host, pid: Pid, end: str) -> Any:
    """What the end of that process is."""
    await rest()
    host.node.terminate(pid) if "terminate" in end else host.node.send(pid, "end")
    return shown(await host.node.wait(pid))


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("end", ENDS)
async def test_a_lock_that_is_never_released_is_broken(
    host: Host, way: str, end: str, there: bool
) -> None:
    """TM3: as Trio does it when a task ends; for who waits already, and who comes later."""
    lock = trio.Lock()
    broken: list[str] = []

    async def function(ctx: ProcessContext) -> str:
        await ctx.receive()
        lock.acquire_nowait()
        return await ending(ctx, end)

    async def waiter() -> None:
        try:
            await lock.acquire()
        except trio.BrokenResourceError:
            broken.append("broken")

    pid, other = await host.spawn(function), await host.spawn(code("receiving", broken))
    host.node.send(pid, "begin")
    await rest()
    async with trio.open_nursery() as nursery:
        if there:
            nursery.start_soon(waiter)
        told = {"return": "returned", "fail": "failed"}.get(end, "process terminated")
        assert await bring_about(host, pid, end) == told
        if not there:
            await rest()
            nursery.start_soon(waiter)
    host.node.send(other, "number", 1)
    await rest()
    assert broken == ["broken", 1]
    worker = await host.spawn(Worker)
    assert await host.node.ask(worker, Wait()) == "waited"


@pytest.mark.parametrize("fails", [False, True])
async def test_a_lock_that_was_taken_without_a_wait_is_broken_too(
    host: Host, way: str, fails: bool
) -> None:
    """TM3: by code that has ended before it needed a task."""
    lock = trio.Lock()

    async def function(ctx: ProcessContext) -> str:
        lock.acquire_nowait()
        if fails:
            raise ProcessError("failed")
        return "returned"

    pid = await host.spawn(function)
    assert shown(await host.node.wait(pid)) == ("failed" if fails else "returned")
    await rest()
    with pytest.raises(trio.BrokenResourceError):
        await lock.acquire()
    await at_rest(host)


@pytest.mark.parametrize("end", ENDS)
async def test_a_scope_that_is_left_open_harms_nobody_else(node: Node, way: str, end: str) -> None:
    """E38: the same error as Trio's own, if it is one; no other process is in that scope."""
    scopes: list[trio.CancelScope] = []
    ends: list[Any] = []
    raised: list[str] = []

    async def function(ctx: ProcessContext) -> str:
        await ctx.receive()
        scopes.append(trio.CancelScope())
        scopes[0].__enter__()
        return await ending(ctx, end)

    try:
        async with node.open_host("app:h", drain=5) as host:
            other = await host.spawn(Worker)
            pid = await host.spawn(function)
            node.processes[pid].on_exit(lambda end: ends.append(shown(end)))
            node.send(pid, "begin")
            await bring_about(host, pid, end)
            scopes[0].cancel()
            await rest()
            assert await node.ask(other, Wait()) == "waited"
    except RuntimeError as error:
        raised.append(str(error))
    told = "RuntimeError: Cancel scope stack corrupted"
    (ended,) = ends
    assert ended.startswith("process terminated" if "terminate" in end else told)
    assert raised == []


@pytest.mark.parametrize("end", ENDS)
async def test_a_nursery_that_is_left_open_is_an_error_at_once(
    node: Node, way: str, end: str
) -> None:
    """E38: Trio's own error; the nursery's tasks end, and other processes with the host."""
    did: list[str] = []
    stack = contextlib.AsyncExitStack()

    async def run() -> None:
        try:
            await trio.sleep_forever()
        finally:
            did.append("ended")

    async def function(ctx: ProcessContext) -> str:
        await ctx.receive()
        nursery = await stack.enter_async_context(trio.open_nursery())
        nursery.start_soon(run)
        return await ending(ctx, end)

    with pytest.raises((RuntimeError, BaseExceptionGroup), match="stack corrupted"):
        async with node.open_host("app:h", drain=5) as host:
            pids = [await host.spawn(function), await host.spawn(code("reading", []))]
            node.send(pids[0], "begin")
            await rest()
            host.node.terminate(pids[0]) if "terminate" in end else node.send(pids[0], "end")
            await trio.sleep(1)
    assert did == ["ended"]
    assert not node.processes


# -- memory


class Thing:
    """A local object."""


@contextlib.contextmanager
def freed() -> Iterator[None]:
    """Nothing of processes that is made meanwhile is left, without the garbage collector."""
    gc.collect()
    gc.disable()
    gc.freeze()  # what is there already is not looked at
    try:
        yield
        kinds = (Thing, Roaming, FunctionBody, Process)
        assert not [one for one in gc.get_objects() if isinstance(one, kinds)]
    finally:
        gc.unfreeze()
        gc.enable()


class Block:
    """A handler that does nothing."""

    def __enter__(self) -> Thing:
        return Thing()

    def __exit__(self, *error: object) -> None:
        pass


async def quiet(ctx: ProcessContext, end: str, sleeps: bool) -> None:
    """No handlers."""
    thing, more = Thing(), await ctx.receive()
    if sleeps:
        await trio.sleep(1)
    await act(ctx, end)
    await ctx.receive()
    assert thing
    assert more


async def loud(ctx: ProcessContext, end: str, sleeps: bool) -> None:
    """A handler."""
    with Block() as thing:
        await quiet(ctx, end, sleeps)
        assert thing


async def act(ctx: ProcessContext, end: str) -> None:
    """Ends by itself, if that is wanted."""
    if end == "fail":
        raise ProcessError("failed")
    if end == "terminate itself":
        ctx.terminate(ctx.pid)
    if end == "upgrade":
        await ctx.upgrade(code("reading", []))


FREED = [
    "return",
    "fail",
    "terminate",
    "deadline",
    "link",
    "terminate itself",
    "upgrade",
    "abandon",
]


@pytest.mark.parametrize("sleeps", [False, True])
@pytest.mark.parametrize("function", [quiet, loud])
@pytest.mark.parametrize("end", FREED)
async def test_an_ended_function_is_freed_at_once(
    node: Node,
    way: str,
    end: str,
    function: Any,
    sleeps: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """V20: its locals, messages and records, without the garbage collector."""
    monkeypatch.setattr(task.logger, "disabled", True)  # pytest keeps what is logged

    async def live(host: Host) -> None:
        for _ in range(3):
            pid = await host.spawn(function, end, sleeps, messages=[("begin", Thing())])
            await trio.sleep(2)
            if end == "return":
                node.send(pid, "end", Thing())
            elif end == "abandon":
                node.abandon(node.processes[pid], "given up")
                host.zombies.clear()
            elif end in FORCED:
                force(host, pid, end)
            elif end == "upgrade":
                node.terminate(pid)
            await node.wait(pid)
            await trio.sleep(2)

    async with node.open_host("app:h", drain=0) as host:
        await live(host)
        with freed():
            await live(host)
        assert not host.alive


@pytest.mark.parametrize("sleeps", [False, True])
async def test_functions_of_an_aborted_host_are_freed_at_once(
    node: Node, way: str, sleeps: bool
) -> None:
    """E37, V20: those at rest, and those that wait for something else."""

    async def live() -> None:
        async with node.open_host("app:h", drain=0) as host:
            for function in (quiet, loud):
                await host.spawn(function, "abort", sleeps, messages=[("begin", Thing())])
            await trio.sleep(0.5)
            host.abort()
            await trio.sleep(1)

    await live()
    with freed():
        await live()


@pytest.mark.parametrize("many", [False, True])
async def test_a_function_at_rest_keeps_nothing_of_what_it_has_handled(
    host: Host, way: str, many: bool
) -> None:
    """Memory: neither messages nor what came of them."""

    async def reads(ctx: ProcessContext) -> None:
        while True:
            messages = await ctx.inbox.receive_many() if many else [await ctx.receive()]
            del messages
            await ctx.checkpoint()

    pid = await host.spawn(reads)
    await rest()
    for count in (1, 3, 50):
        with freed():
            for _ in range(count):
                host.node.send(pid, "thing", Thing())
            await rest()
    assert has_task(host, pid) is (way == "task")
    await at_rest(host)
