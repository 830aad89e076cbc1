"""Functions in the middle of something, and how to see whether one has a task."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

import pytest
import trio
import trio.testing
from unwinding import slow_to_end

from trio_actors import Exit, Host, Node, Pid, ProcessContext
from trio_actors._core.carrier import SIGHT
from trio_actors._core.roaming import Roaming
from trio_actors._core.task import TaskDrive

Function = Callable[..., Awaitable[Any]]
rest = trio.testing.wait_all_tasks_blocked  # until nothing happens by itself any more

WAYS = ["stepped", "task"]  # without a task at first, or with one from the start


def go(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets all functions of this test begin in this way."""
    if way == "task":
        monkeypatch.setattr(SIGHT, "asked", True)
        monkeypatch.setattr(SIGHT, "roaming", False)


def has_task(host: Host, pid: str) -> bool:
    """Whether a process has a task of its own."""
    drive = host.node.processes[pid].drive
    assert isinstance(drive, Roaming | TaskDrive)
    return drive.carrier is not None if isinstance(drive, Roaming) else drive.task is not None


def stepped(host: Host, pid: str) -> bool:
    """Whether a process began without a task."""
    return isinstance(host.node.processes[pid].drive, Roaming)


def here() -> int:
    """The task that runs, without keeping it."""
    return id(trio.lowlevel.current_task())


def shown(end: Exit) -> Any:
    """An exit as its value, or the text of its error."""
    return end.value if end.error is None else end.error.message


# -- forced ends


TEXTS = {
    "terminate": "process terminated",
    "deadline": "cancel deadline exceeded",
    "link": "linked process failed",
}


def force(host: Host, pid: Pid, how: str) -> None:
    """Decides the end of a process; what comes then is not handled any more."""
    node = host.node
    if how == "deadline":
        node.processes[pid].limit(trio.current_time(), pid)
        return
    if how == "link":

        async def peer(ctx: ProcessContext) -> None:
            raise AssertionError("it was given up before its first turn")

        other = host.spawn_soon(peer)
        node.topology.link(pid, other)
        node.abandon(node.processes[other], "given up")
        host.zombies.clear()
    else:
        node.terminate(pid)
    node.send(pid, "number", 99)


# -- code in the middle of something


def code(moment: str, log: list[Any]) -> Function:
    """A function without handlers that is in the middle of something, and says what it does."""

    async def reads(ctx: ProcessContext) -> None:
        log.append("begun")
        async for message in ctx.inbox:
            log.append(message.payload)

    async def receives(ctx: ProcessContext) -> None:
        while True:
            log.append((await ctx.receive()).payload)

    async def receives_many(ctx: ProcessContext) -> None:
        while True:
            log.extend(message.payload for message in await ctx.inbox.receive_many())

    async def chooses(ctx: ProcessContext) -> None:
        log.append((await ctx.receive("number")).payload)

    async def listens(ctx: ProcessContext) -> None:
        log.append(await ctx.listen("number").receive())

    async def pauses(ctx: ProcessContext) -> None:
        while True:
            log.append("turn")
            await ctx.checkpoint()

    async def sleeps(ctx: ProcessContext) -> None:
        await trio.sleep_forever()

    async def sleeps_later(ctx: ProcessContext) -> None:
        await ctx.receive("begin")
        await trio.sleep_forever()

    found = {
        "before": reads,
        "woken": reads,
        "reading": reads,
        "receiving": receives,
        "receiving many": receives_many,
        "choosing": chooses,
        "listening": listens,
        "pausing": pauses,
        "sleeping": sleeps,
        "sleeping later": sleeps_later,
    }
    return found[moment]


MOMENTS = [
    "before",
    "woken",
    "reading",
    "receiving",
    "receiving many",
    "choosing",
    "listening",
    "pausing",
    "sleeping",
    "sleeping later",
]


class Block:
    """Notes what it is left with."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[Any] | None, exc: Any, tb: TracebackType | None) -> None:
        self.log.append(kind and kind.__name__)


async def clean_up(log: list[Any]) -> None:
    """Waits, in a shield."""
    with trio.CancelScope(shield=True):
        await trio.sleep(1)
        log.append("cleaned up")


def handled(handlers: str, function: Function, log: list[Any]) -> Function:
    """The function with handlers around it."""

    async def finally_(ctx: ProcessContext) -> None:
        try:
            await function(ctx)
        finally:
            log.append(type(sys.exc_info()[1]).__name__)
            await clean_up(log)

    async def except_(ctx: ProcessContext) -> None:
        try:
            await function(ctx)
        except trio.Cancelled:
            log.append("Cancelled")
            await clean_up(log)
            raise

    async def with_(ctx: ProcessContext) -> None:
        with Block(log):
            await function(ctx)

    async def swallow(ctx: ProcessContext) -> str:
        try:
            await function(ctx)
        except trio.Cancelled:
            log.append("Cancelled")
        return "swallowed"

    async def reads_on(ctx: ProcessContext) -> None:
        try:
            await function(ctx)
        except trio.Cancelled:
            log.append("Cancelled")
        log.append((await ctx.receive()).payload)

    async def waits(ctx: ProcessContext) -> None:
        try:
            await function(ctx)
        finally:
            await trio.sleep(1)
            log.append("too late")

    found = {
        "finally": finally_,
        "except": except_,
        "with": with_,
        "swallow": swallow,
        "read on": reads_on,
        "wait": waits,
    }
    return found.get(handlers, function)


UNWOUND: dict[str, list[Any]] = {
    "nothing": [],
    "finally": ["Cancelled", "cleaned up"],
    "except": ["Cancelled", "cleaned up"],
    "with": ["Cancelled"],
    "swallow": ["Cancelled"],
    "read on": ["Cancelled"],
    "wait": [],
}


async def at(host: Host, moment: str, handlers: str, log: list[Any]) -> Pid:
    """A process in the middle of something."""
    pid = host.spawn_soon(handled(handlers, code(moment, log), log))
    if moment == "before":
        return pid
    if moment == "pausing":
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        return pid
    await rest()
    if moment == "sleeping later":
        host.node.send(pid, "begin")
        await rest()
    elif moment == "woken":
        host.node.send(pid, "number", 1)
    return pid


async def unwind_slowly(node: Node, pid: Pid, log: list[Any]) -> None:
    """A child task whose end takes 3 seconds; notes whether its process is alive then."""
    try:
        await slow_to_end(3)
    finally:
        log.append(pid in node.processes)
