"""Functions that rest without a task end with their host as those that have one do (E37, TM3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
import trio.testing
from unwinding import slow_to_end

from property_tests.ways import functions_begin
from trio_actors import Host, ProcessContext, open_node

pytestmark = pytest.mark.usefixtures("ways")


@pytest.fixture(params=[True, False], ids=["stepped", "task"])
def ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Functions begin without a task, or with one."""
    with functions_begin(stepped=request.param):
        yield


async def rests(ctx: ProcessContext) -> None:
    await ctx.inbox.receive()


async def notes(ctx: ProcessContext, seen: list[str]) -> None:
    """Can tell by what it is unwound."""
    try:
        await ctx.inbox.receive()
    except BaseException as error:
        seen.append(type(error).__name__)
        raise


async def sleeps(ctx: ProcessContext) -> None:
    await trio.sleep_forever()


async def ended_after(host: Host, pid: str) -> float:
    """Aborts the host; how long the end of a process takes then."""
    begun = trio.current_time()
    ends: list[float] = []
    host.node.processes[pid].on_exit(lambda _: ends.append(trio.current_time()))
    host.abort()
    await host._closed.wait()
    (end,) = ends
    return end - begun


async def test_it_ends_at_once_though_the_only_task_is_shielded(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """E37: that task sees the cancellation five seconds later."""

    async def deaf(ctx: ProcessContext) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)

    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(rests)
        await host.spawn(deaf)
        await trio.testing.wait_all_tasks_blocked()
        assert await ended_after(host, pid) == 0


async def test_it_ends_though_no_task_is_left(autojump_clock: trio.testing.MockClock) -> None:
    """E37: the only task was kept by a lock, and has ended."""
    lock = trio.Lock()

    async def leaves_a_lock(ctx: ProcessContext) -> None:
        lock.acquire_nowait()
        await trio.sleep(1)

    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(rests)
        await node.call(leaves_a_lock, host=host)
        await trio.testing.wait_all_tasks_blocked()
        assert await ended_after(host, pid) == 0


async def test_it_ends_after_its_child_tasks(autojump_clock: trio.testing.MockClock) -> None:
    """TM3, E37: also if it has no handlers, and so could be ended at once."""

    async def has_a_child(ctx: ProcessContext) -> None:
        ctx.start_task(slow_to_end, 3)
        await ctx.inbox.receive()

    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(has_a_child)
        await trio.testing.wait_all_tasks_blocked()
        assert await ended_after(host, pid) == 3


async def test_it_is_cancelled_once_though_many_tasks_are(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """E37: each task of the dispatcher sees that the host is cancelled."""
    seen: list[str] = []
    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(notes, seen)
        for _ in range(5):
            node.tasked.clear()  # else only the first is stepped at first
            await host.spawn(sleeps)
        await trio.testing.wait_all_tasks_blocked()
        assert await ended_after(host, pid) == 0
    assert seen == ["Cancelled"]
