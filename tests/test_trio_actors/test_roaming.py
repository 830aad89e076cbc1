"""Processes that are functions: no task while they only wait for messages, then one for life."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from carriers import at_rest, carriers
from roaming import Function, has_task, here, shown, stepped

import trio_actors
from trio_actors import Host, ProcessContext
from trio_actors._core.carrier import SIGHT

# -- no task


async def test_functions_that_only_wait_for_messages_share_one_task(host: Host) -> None:
    """TM2: 200 of them, before and after they have handled messages."""
    read: list[int] = []

    async def reads(ctx: ProcessContext) -> None:
        async for message in ctx.inbox:
            read.append(message.payload)

    pids = [await host.spawn(reads) for _ in range(200)]
    for _ in range(2):
        await at_rest(host)
        assert carriers(host) == 1
        assert not any(has_task(host, pid) for pid in pids)
        for number, pid in enumerate(pids):
            host.node.send(pid, "number", number)
    await at_rest(host)
    assert read == [*range(200)] * 2


async def receive(ctx: ProcessContext) -> Any:
    return await ctx.inbox.receive()


async def iterate(ctx: ProcessContext) -> Any:
    async for message in ctx.inbox:
        return message
    return None


async def receive_where(ctx: ProcessContext) -> Any:
    return await ctx.inbox.receive_where(lambda message: message.payload == 1)


async def receive_topic(ctx: ProcessContext) -> Any:
    return await ctx.receive("number")


async def receive_type(ctx: ProcessContext) -> Any:
    return await ctx.receive(int)


async def receive_condition(ctx: ProcessContext) -> Any:
    return await ctx.receive(lambda message: message.payload == 1)


async def receive_many(ctx: ProcessContext) -> Any:
    (message,) = await ctx.inbox.receive_many()
    return message


async def listen(ctx: ProcessContext) -> Any:
    return await ctx.listen("number", message=True).receive()


async def pause(ctx: ProcessContext) -> Any:
    await ctx.checkpoint()
    return await ctx.receive()


WAITS = [
    receive,
    iterate,
    receive_where,
    receive_topic,
    receive_type,
    receive_condition,
    receive_many,
    listen,
    pause,
]


@pytest.mark.parametrize("wait", WAITS)
async def test_no_wait_for_messages_needs_a_task(host: Host, wait: Function) -> None:
    """TM2: whichever way a function reads its messages."""
    read: list[Any] = []

    async def reads(ctx: ProcessContext) -> None:
        for _ in range(3):
            read.append((await wait(ctx)).payload)

    pid = await host.spawn(reads)
    for _ in range(3):
        await at_rest(host)
        assert stepped(host, pid)
        assert not has_task(host, pid)
        host.node.send(pid, "number", 1)
    assert shown(await host.node.wait(pid)) is None
    assert read == [1, 1, 1]
    assert not host.node.tasked


async def test_what_is_let_go_of_before_the_wait_needs_no_task(host: Host) -> None:
    """TM2: scopes, locks and tasks that a function kept only in between."""
    lock, limiter = trio.Lock(), trio.CapacityLimiter(1)

    async def reads(ctx: ProcessContext) -> None:
        while True:
            with trio.move_on_after(1), trio.CancelScope(shield=True):
                lock.acquire_nowait()
                limiter.acquire_nowait()
                assert lock.statistics().owner is trio.lowlevel.current_task()
                lock.release()
                limiter.release()
            await ctx.inbox.receive()

    pids = [await host.spawn(reads) for _ in range(3)]
    for _ in range(3):
        await at_rest(host)
        assert not any(has_task(host, pid) for pid in pids)
        for pid in pids:
            host.node.send(pid, "go on")


# -- a task


@pytest.mark.parametrize("before", [0, 1, 3])
async def test_a_function_that_waits_for_something_else_has_its_own_task_from_then_on(
    host: Host, before: int
) -> None:
    """TM2, TM3: from its first wait to its last line, between messages too."""
    seen: dict[str, list[int]] = {}

    async def function(ctx: ProcessContext) -> None:
        for _ in range(before):
            await ctx.inbox.receive()
        tasks = seen[ctx.pid] = [here()]
        await trio.sleep(1)
        tasks.append(here())
        async for _ in ctx.inbox:
            tasks.append(here())
            await ctx.checkpoint()
            tasks.append(here())
            await trio.lowlevel.checkpoint()
            tasks.append(here())
            ctx.inbox.close()
        tasks.append(here())

    def send() -> None:
        for pid in pids:
            host.node.send(pid, "go on")

    pids = [host.spawn_soon(function) for _ in range(5)]
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(before):
        assert not any(has_task(host, pid) for pid in pids)
        send()
        await trio.testing.wait_all_tasks_blocked()
    assert all(has_task(host, pid) for pid in pids)
    await trio.sleep(1.5)
    assert all(has_task(host, pid) and stepped(host, pid) for pid in pids)
    send()
    await host.join()
    assert [len(tasks) for tasks in seen.values()] == [6] * 5
    assert len({frozenset(tasks) for tasks in seen.values()}) == 5
    assert all(len(set(tasks)) == 1 for tasks in seen.values())
    await at_rest(host)


async def test_a_function_that_has_needed_a_task_is_started_with_one(host: Host) -> None:
    """TM2: later processes of the same code; those of another function are not."""

    async def sleeps(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        await trio.sleep(1)

    async def reads(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()

    first = await host.spawn(sleeps)
    second = await host.spawn(sleeps)
    for pid in (first, second):
        assert stepped(host, pid)
        host.node.send(pid, "go on")
    await trio.testing.wait_all_tasks_blocked()
    third, other = await host.spawn(sleeps), await host.spawn(reads)
    await trio.testing.wait_all_tasks_blocked()
    assert not stepped(host, third)
    assert stepped(host, other)
    assert has_task(host, third)
    for pid in (third, other):
        host.node.send(pid, "go on")
    await host.join()
    assert trio.current_time() == 1


async def test_where_ties_cannot_be_seen_functions_have_a_task_from_the_start(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TM2: with a version of Trio that does not show its innermost scope."""

    async def reads(ctx: ProcessContext) -> int:
        return here() + (await ctx.inbox.receive()).payload - here()

    monkeypatch.setattr(SIGHT, "roaming", False)
    pid = await host.spawn(reads)
    await trio.testing.wait_all_tasks_blocked()
    assert not stepped(host, pid)
    assert has_task(host, pid)
    host.node.send(pid, "number", 5)
    assert shown(await host.node.wait(pid)) == 5


# -- what ties a function to its task


async def scope(stack: contextlib.AsyncExitStack) -> None:
    stack.enter_context(trio.CancelScope())


async def deadline(stack: contextlib.AsyncExitStack) -> None:
    stack.enter_context(trio.move_on_after(100))


async def nursery(stack: contextlib.AsyncExitStack) -> None:
    await stack.enter_async_context(trio.open_nursery())


async def lock(stack: contextlib.AsyncExitStack) -> None:
    kept = trio.Lock()
    kept.acquire_nowait()
    stack.callback(kept.release)


async def token(stack: contextlib.AsyncExitStack) -> None:
    limiter = trio.CapacityLimiter(1)
    limiter.acquire_nowait()
    stack.callback(limiter.release)


async def itself(stack: contextlib.AsyncExitStack) -> None:
    kept = trio.lowlevel.current_task()

    def is_the_same() -> None:
        assert kept is trio.lowlevel.current_task()

    stack.callback(is_the_same)


TIES = [scope, deadline, nursery, lock, token, itself]


@pytest.mark.parametrize("wait", [receive, receive_topic, receive_many, pause, iterate])
@pytest.mark.parametrize("tie", TIES)
async def test_what_is_kept_of_a_task_makes_it_the_functions_own(
    host: Host, tie: Function, wait: Function
) -> None:
    """TM3: at its next wait in a channel, whatever it is, and whoever has put it there."""
    seen: list[int] = []

    async def function(ctx: ProcessContext) -> str:
        await ctx.inbox.receive()
        seen.append(here())
        async with contextlib.AsyncExitStack() as stack:
            await tie(stack)
            for _ in range(2):
                await wait(ctx)
                seen.append(here())
        seen.append(here())
        return "untied"

    pid, other = await host.spawn(function), await host.spawn(receive)
    host.node.send(pid, "begin")
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(2):
        assert has_task(host, pid)
        assert not has_task(host, other)
        host.node.send(pid, "number", 1)
        await trio.testing.wait_all_tasks_blocked()
    assert shown(await host.node.wait(pid)) == "untied"
    assert len(seen) == 4
    assert len(set(seen)) == 1
    host.node.send(other, "number", 1)
    assert (await host.node.wait(other)).value.payload == 1
    await at_rest(host)


async def test_a_receive_may_be_given_a_time(host: Host, way: str) -> None:
    """TM3: a scope around `receive` times out, or is left with the message."""
    read: list[Any] = []

    async def function(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        for _ in range(3):
            message = None
            with trio.move_on_after(1) as scope:
                message = await ctx.inbox.receive()
            read.append((message and message.payload, scope.cancelled_caught, trio.current_time()))
        with pytest.raises(trio_actors.ProcessTimeout):
            await ctx.receive("number", timeout=1)

    pid = await host.spawn(function)
    host.node.send(pid, "begin")
    await trio.sleep(1.5)
    host.node.send(pid, "number", 5)
    assert shown(await host.node.wait(pid)) is None
    assert read == [(None, True, 1), (5, False, 1.5), (None, True, 2.5)]
    assert trio.current_time() == 3.5


async def test_an_open_scope_can_be_cancelled_by_others(host: Host, way: str) -> None:
    """TM3: only what is in it is left; entered by hand in a helper function as well."""
    scopes: list[trio.CancelScope] = []

    def enter(stack: contextlib.ExitStack) -> None:
        scopes.append(stack.enter_context(trio.CancelScope()))

    async def function(ctx: ProcessContext) -> list[Any]:
        read = [(await ctx.inbox.receive()).payload]
        for _ in range(2):
            with contextlib.ExitStack() as stack:
                enter(stack)
                while True:
                    read.append((await ctx.inbox.receive()).payload)
            read.append("cancelled")
        return [*read, (await ctx.inbox.receive()).payload]

    pid = await host.spawn(function)
    for number in range(4):
        host.node.send(pid, "number", number)
        await trio.testing.wait_all_tasks_blocked()
        if number in (1, 2):
            scopes[-1].cancel()
            await trio.testing.wait_all_tasks_blocked()
    assert shown(await host.node.wait(pid)) == [0, 1, "cancelled", 2, "cancelled", 3]


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_nursery_may_be_open_while_a_function_reads(
    host: Host, way: str, by_hand: bool
) -> None:
    """TM3: its tasks run, and the function goes on reading; also one kept by an exit stack."""
    done: list[int] = []

    async def work(number: int) -> None:
        await trio.sleep(1)
        done.append(number)

    async def read(ctx: ProcessContext, nursery: trio.Nursery) -> None:
        while (message := await ctx.inbox.receive()).topic != "stop":
            nursery.start_soon(work, message.payload)

    async def function(ctx: ProcessContext) -> list[int]:
        if by_hand:
            stack = contextlib.AsyncExitStack()
            await read(ctx, await stack.enter_async_context(trio.open_nursery()))
            await stack.aclose()
        else:
            async with trio.open_nursery() as nursery:
                await read(ctx, nursery)
        return done

    pid, other = await host.spawn(function), await host.spawn(receive)
    for number in range(3):
        host.node.send(pid, "number", number)
        await trio.sleep(0.4)
    host.node.send(pid, "stop")
    assert shown(await host.node.wait(pid)) == [0, 1, 2]
    assert trio.current_time() == pytest.approx(1.8)
    host.node.send(other, "number", 1)
    await host.node.wait(other)


@pytest.mark.parametrize("kind", [trio.Lock, trio.StrictFIFOLock, lambda: trio.CapacityLimiter(1)])
async def test_a_lock_can_be_taken_before_a_message_and_released_after_it(
    host: Host, way: str, kind: Callable[[], Any]
) -> None:
    """TM3: others see it, wait for it and get it; and the same function again."""
    shared = kind()

    async def function(ctx: ProcessContext) -> None:
        for _ in range(2):
            await ctx.inbox.receive()
            shared.acquire_nowait()
            await ctx.inbox.receive()
            shared.release()

    pid, other = await host.spawn(function), await host.spawn(function)
    for _ in range(2):
        host.node.send(pid, "take")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.WouldBlock):
            shared.acquire_nowait()
        async with trio.open_nursery() as nursery:

            async def waiter(until: float) -> None:
                async with shared:
                    assert trio.current_time() == until

            nursery.start_soon(waiter, trio.current_time() + 1)
            await trio.sleep(1)
            host.node.send(pid, "release")
        host.node.send(other, "take")
        host.node.send(other, "release")
        await trio.testing.wait_all_tasks_blocked()
    assert [shown(await host.node.wait(one)) for one in (pid, other)] == [None, None]


async def test_an_error_that_is_let_go_of_does_not_hide_a_lock(host: Host) -> None:
    """TM2: what is kept of an error is nothing of the task; its end loosens no tie of others."""
    kept: list[BaseException] = []
    lock = trio.Lock()

    async def fails(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        kept.append(trio_actors.ProcessError("kept"))  # no log keeps it
        raise kept[-1]

    async def lets_go(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        kept.clear()

    async def takes(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        lock.acquire_nowait()
        await ctx.inbox.receive()
        lock.release()

    letting, taking, *failing = [
        await host.spawn(code) for code in (lets_go, takes, fails, fails, fails)
    ]
    for pid in failing:
        await at_rest(host)
        host.node.send(pid, "fail")
        await host.node.wait(pid)
    await at_rest(host)
    host.node.send(letting, "let go")
    host.node.send(taking, "take")
    await at_rest(host)
    assert not kept
    assert has_task(host, taking)
    host.node.send(taking, "release")
    assert (await host.node.wait(taking)).error is None
