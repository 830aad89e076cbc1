"""Functions without a task of their own: what once made them differ from those with one."""

from __future__ import annotations

import gc
import types
import weakref
from collections.abc import AsyncIterator, Generator
from contextvars import ContextVar
from typing import Any

import pytest
import trio
import trio.testing
from carriers import carriers, dispatcher, text

from trio_actors import Exit, Host, Message, Node, Pid, ProcessContext, Server, handles

at_rest = trio.testing.wait_all_tasks_blocked
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


async def sleeps_for_ever_after(ctx: ProcessContext, kept: list[Any]) -> None:
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
    await at_rest()
    for _ in range(1000):
        node.send(pid, "more")
    node.send(pid, "last")
    assert text(await node.wait(pid)) == "process terminated"
    assert killed
    assert log == []
