"""How the processes of the example find each other, and hand their state on when they die.

The report process is the heir: it makes the state of every role before the run, hands it to
whoever starts in that role, and gets it back when that process ends, however it ends - a `finally`
block runs even when a process is terminated. Handlers do not await while they change a state, so a
state is never handed over half changed.

Events are put behind the messages in the inbox: a death is handled after everything that the dead
process has sent. With two loops for messages and events it could overtake them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from trio_actors import Event, EventKind, ProcessContext, ProcessNotFound, Shutdown

REPORT = "logwatch.report"
LEDGER = "logwatch.ledger"
READER = "logwatch.reader"
AGGREGATOR = "logwatch.aggregator"
EVENT = "event"  # topic under which a process sends itself its events

POLL = 0.02  # seconds between two looks for a name


def worker_name(index: int) -> str:
    """The name of a rule worker (worker.lua gives itself the same)."""
    return f"logwatch.rules.{index}"


async def events_to_inbox(ctx: ProcessContext) -> None:
    """Forwards the events of a process to its own inbox, for ever."""
    async for event in ctx.events:
        ctx.send(ctx.pid, EVENT, event)


def is_cancel(payload: Any) -> bool:
    """True for the event that asks a process to end."""
    return isinstance(payload, Event) and payload.kind is EventKind.CANCEL


@asynccontextmanager
async def play(ctx: ProcessContext, name: str) -> AsyncIterator[Any]:
    """`async with play(ctx, READER) as state`: takes a role's name and its state, and hands it on.

    The block is left when the process is asked to end.
    """
    ctx.register(name)
    ctx.started()
    began = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_when_asked, ctx, nursery.cancel_scope)
        state = await _inherit(ctx, name)
        began = True
        try:
            yield state
        finally:
            tell(ctx, REPORT, "heir", (name, state))
        nursery.cancel_scope.cancel()
    if not began:
        raise Shutdown("asked to end before there was a report")


async def _end_when_asked(ctx: ProcessContext, scope: trio.CancelScope) -> None:
    async for event in ctx.events:
        if is_cancel(event):
            scope.cancel()
        else:
            ctx.send(ctx.pid, EVENT, event)


async def _inherit(ctx: ProcessContext, name: str) -> Any:
    while not tell(ctx, REPORT, "inherit", name):
        await trio.sleep(POLL)
    return (await ctx.receive("state")).payload


def tell(ctx: ProcessContext, dest: str, topic: str, payload: Any) -> bool:
    """Sends, or says that nobody is there."""
    try:
        ctx.send(dest, topic, payload)
    except ProcessNotFound:
        return False
    return True


async def report_to_ledger(ctx: ProcessContext, payload: Any) -> str:
    """Watches the ledger and tells it that this process is ready; waits until there is one."""
    while True:
        try:
            ledger = ctx.lookup(LEDGER)
            ctx.monitor(ledger)
        except ProcessNotFound:
            await trio.sleep(POLL)
            continue
        tell(ctx, ledger, "ready", payload)
        return ledger
