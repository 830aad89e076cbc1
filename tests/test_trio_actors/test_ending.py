"""The time between the end of the code and the end of the process: child tasks, timers, zombies."""

from __future__ import annotations

import gc

import pytest
import trio
import trio.testing

from trio_actors import Exit, Host, ProcessContext, ProcessError


def text(end: Exit) -> str:
    """An exit as text."""
    return str(end.error) if end.error else str(end.value)


async def slow_to_end() -> None:
    """A child task that needs 3 seconds to unwind."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(3)


@pytest.mark.parametrize("how", ["terminate", "deadline", "link", None])
async def test_forced_end_while_child_tasks_unwind(host: Host, how: str | None) -> None:
    """TM3, E40: the code has returned, but the process lives until its child tasks have ended."""

    async def failing(ctx: ProcessContext) -> None:
        await trio.sleep(2)
        raise ProcessError("link")

    async def body(ctx: ProcessContext) -> str:
        if how == "link":
            await ctx.spawn(failing, link=True)
        ctx.start_task(slow_to_end)
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
