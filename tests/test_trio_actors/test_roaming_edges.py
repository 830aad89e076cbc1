"""Functions without a task of their own: what once made them differ from those with one."""

from __future__ import annotations

import gc
import logging
import types
import weakref
from collections.abc import AsyncIterator, Generator
from contextvars import ContextVar
from math import inf
from typing import Any

import pytest
import trio
import trio.testing
from carriers import carriers, dispatcher, text
from roaming import rest

from trio_actors import Host, Message, Node, Pid, ProcessContext, Server, handles
from trio_actors._core.dispatch import BATCH
from trio_actors._core.pace import Pace

place: ContextVar[str] = ContextVar("place", default="nowhere")


async def reads(ctx: ProcessContext) -> None:
    """Waits for a message; cannot tell by what it is unwound."""
    await ctx.inbox.receive()


async def cleans(ctx: ProcessContext, log: list[Any]) -> None:
    """Waits for a message, and takes a second to clean up, whatever happens."""
    try:
        await ctx.inbox.receive()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        log.append("clean")


async def sleeps(ctx: ProcessContext, seconds: float) -> None:
    """Waits, so it has a task."""
    await trio.sleep(seconds)


async def keeps_its_task(ctx: ProcessContext, kept: list[Any]) -> None:
    """Keeps its task, so that this carrier does not step again."""
    kept.append(trio.lowlevel.current_task())
    await trio.sleep(1)


@pytest.mark.parametrize("pause", ["checkpoint", "receive", "receive_where", "receive_many"])
async def test_who_is_terminated_while_it_pauses_does_not_go_on(
    node: Node, host: Host, pause: str
) -> None:
    """Its checkpoint raises Cancelled (PY10), and it reads nothing more (T1)."""
    log: list[str] = []

    async def victim(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        ctx.send(killer, "now")
        if pause == "checkpoint":
            await ctx.checkpoint()
        elif pause == "receive_where":
            await ctx.receive("last")
        else:
            while not killed:
                await (ctx.inbox.receive() if pause == "receive" else ctx.inbox.receive_many())
        log.append("went on")

    async def kills(ctx: ProcessContext) -> None:
        await ctx.inbox.receive()
        ctx.terminate(pid)
        killed.append(True)

    killed: list[bool] = []
    pid = host.spawn_soon(victim)
    killer = host.spawn_soon(kills)
    await rest()
    for _ in range(1000):
        node.send(pid, "more")
    node.send(pid, "last")
    assert text(await node.wait(pid)) == "process terminated"
    assert killed
    assert log == []


@pytest.mark.parametrize("by", ["async generator", "generator", "awaitable"])
async def test_what_is_between_code_and_its_channel_sees_the_cancellation(
    node: Node, host: Host, by: str
) -> None:
    """Cancelled, not GeneratorExit; and cleanup may wait, shielded (PY10, T5)."""
    log: list[str] = []

    def see(what: BaseException) -> None:
        log.append(type(what).__name__)

    async def messages(ctx: ProcessContext) -> AsyncIterator[Message]:
        try:
            async for message in ctx.inbox:
                yield message
        except BaseException as exc:
            see(exc)
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            log.append("clean")
            raise

    @types.coroutine
    def generator(ctx: ProcessContext) -> Generator[Any, Any, Any]:
        try:
            return (yield from ctx.inbox.receive())
        except BaseException as exc:
            see(exc)
            raise

    class Awaits:
        def __init__(self, ctx: ProcessContext) -> None:
            self.ctx = ctx

        def __await__(self) -> Generator[Any, Any, Any]:
            try:
                return (yield from self.ctx.inbox.receive().__await__())
            except BaseException as exc:
                see(exc)
                raise

    async def iterates(ctx: ProcessContext) -> None:
        async for _ in messages(ctx):
            pass

    async def awaits(ctx: ProcessContext) -> None:
        await (generator(ctx) if by == "generator" else Awaits(ctx))

    pid = host.spawn_soon(iterates if by == "async generator" else awaits)
    await rest()
    node.terminate(pid)
    assert text(await node.wait(pid)) == "process terminated"
    assert log == (["Cancelled", "clean"] if by == "async generator" else ["Cancelled"])


async def test_who_is_ended_before_it_begins_ends_beside_a_handler_that_keeps_the_task(
    node: Node, host: Host
) -> None:
    """It gets a task for its end, in which what was left there can be seen (T1)."""
    lock = trio.Lock()
    log: list[str] = []

    class Locks(Server):
        @handles("go")
        def go(self, message: Message) -> None:
            lock.acquire_nowait()
            pids.append(host.spawn_soon(begins))
            node.terminate(pids[0])

    async def begins(ctx: ProcessContext) -> None:
        log.append("began")

    pids: list[Pid] = []
    server = host.spawn_soon(Locks)
    await rest()
    node.send(server, "go")
    await rest()
    with trio.fail_after(1):
        assert text(await node.wait(pids[0])) == "process terminated"
    assert log == []


async def test_an_abort_with_several_carriers_cuts_each_function_once(
    node: Node, host: Host
) -> None:
    """Each carrier sees the abort; cleanup runs once, and to its end (E37, T5)."""
    log: list[Any] = []
    pids = []
    for _ in range(3):
        pids += [host.spawn_soon(sleeps, 100), host.spawn_soon(cleans, log)]
    await rest()
    host.abort()
    assert [text(await node.wait(pid)) for pid in pids] == ["process cancelled"] * 6
    assert log == ["clean"] * 3
    assert host.alive == 0


async def test_an_abort_reaches_functions_that_no_carrier_is_there_for(
    node: Node, host: Host
) -> None:
    """Also if the last carrier has ended with the task of other code (E37)."""
    log: list[Any] = []
    kept: list[Any] = []
    pid = host.spawn_soon(cleans, log)
    host.spawn_soon(keeps_its_task, kept)
    await rest()
    await trio.sleep(2)
    assert carriers(host) == 0
    host.abort()
    with trio.fail_after(10):
        assert text(await node.wait(pid)) == "process cancelled"
    assert log == ["clean"]


async def test_an_abort_does_not_wait_for_who_shields_himself(node: Node, host: Host) -> None:
    """The others are cancelled at once (E37)."""
    ended: list[float] = []

    async def shields(ctx: ProcessContext) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(10)

    pid = host.spawn_soon(reads)
    node.processes[pid].on_exit(lambda exit: ended.append(trio.current_time()))
    shielded = host.spawn_soon(shields)
    await rest()
    before = trio.current_time()
    host.abort()
    await node.wait(shielded)
    assert trio.current_time() == before + 10
    assert ended == [before]


async def test_an_abort_does_not_change_an_end_that_was_decided(node: Node, host: Host) -> None:
    """The first forced end wins (E40)."""
    kept: list[Any] = []
    pid = host.spawn_soon(reads)
    host.spawn_soon(keeps_its_task, kept)
    await rest()
    await trio.sleep(2)
    node.terminate(pid)
    host.abort()
    assert text(await node.wait(pid)) == "process terminated"


async def test_carriers_that_come_back_together_are_kept_or_end(node: Node, host: Host) -> None:
    """One of them waits for the next turn, the others are spares: none is forgotten."""
    for _ in range(3):
        end = trio.current_time() + 5
        for _ in range(6):
            node.tasked.clear()
            host.spawn_soon(sleeps, end - trio.current_time())
            await rest()
        await trio.sleep(10)
    steps = dispatcher(host)
    assert isinstance(steps.parked, trio.lowlevel.Task)
    assert carriers(host) == 1 + len(steps._spares)
    assert carriers(host) == 6


async def test_the_new_code_of_an_upgrade_sees_the_context_variables_of_the_old(
    node: Node, host: Host
) -> None:
    """As a task does (U3)."""
    contexts: list[ProcessContext] = []
    log: list[str] = []

    async def old(ctx: ProcessContext) -> None:
        contexts.append(ctx)
        place.set("old code")
        await ctx.inbox.receive()

    async def new(ctx: ProcessContext) -> None:
        log.append(place.get())

    pid = host.spawn_soon(old)
    await rest()
    with trio.move_on_after(1):
        await contexts[0].upgrade(new)
    await node.wait(pid)
    assert log == ["old code"]


async def test_a_deadline_of_its_own_turn_can_be_seen_in_it(node: Node, host: Host) -> None:
    """It is the deadline of its cancel scope from then on (K6), and of nobody else's."""
    log: list[float] = []

    async def limits(ctx: ProcessContext) -> None:
        before = trio.current_time()
        ctx.cancel(ctx.pid, 5)
        log.append(trio.current_effective_deadline() - before)
        await ctx.inbox.receive()

    async def next_one(ctx: ProcessContext) -> None:
        log.append(trio.current_effective_deadline())

    pid = host.spawn_soon(limits)
    host.spawn_soon(next_one)
    assert text(await node.wait(pid)) == "cancel deadline exceeded"
    assert log == [5, inf]


async def test_the_error_of_a_condition_is_freed_with_its_process(
    node: Node, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No reference cycle is left behind."""
    monkeypatch.setattr(logging.getLogger("trio_actors.process"), "disabled", True)  # it keeps it
    errors: list[weakref.ref[Exception]] = []

    class Odd(Exception):
        pass

    def odd() -> Exception:
        error = Odd("odd")
        errors.append(weakref.ref(error))
        return error

    def wanted(message: Message) -> bool:
        raise odd()

    async def chooses(ctx: ProcessContext) -> None:
        await ctx.receive(wanted)

    pid = host.spawn_soon(chooses)
    await rest()
    gc.collect()
    gc.disable()
    try:
        node.send(pid, "x")
        assert text(await node.wait(pid)) == "Odd: odd"
        await rest()
        assert errors[0]() is None
    finally:
        gc.enable()


async def test_many_forced_ends_are_carried_out_in_many_turns(node: Node, host: Host) -> None:
    """A checkpoint comes after a number of them, as after messages (design.md §4)."""
    pids = [host.spawn_soon(reads) for _ in range(5000)]
    await rest()
    alive = []
    for pid in pids:
        node.terminate(pid)
    while host.alive:
        await trio.lowlevel.checkpoint()
        alive.append(host.alive)
    most = max(a - b for a, b in zip([5000, *alive], alive, strict=False))
    assert most <= BATCH


def test_who_may_not_share_may_not_take_many_either() -> None:
    """Nothing is taken once the time of a turn is over (design.md §4)."""
    others, own = Pace(1024), Pace(32)
    own.exhaust()
    others.renew()
    assert others.take()
    others.until = 1e-9  # that was long ago
    assert not own.share(others, 128)
    assert own.take_many(100) == 0
