"""The Lua module `events`: the bus of the node.  Rules EV1-EV5, see `trio_actors.events`."""

from __future__ import annotations

from typing import Any

import trio

from lua_bridge import handles
from lua_bridge.modules import LuaModule
from trio_actors import ProcessContext
from trio_actors.events import EventSubscription, bus_of


def _subscribe(ctx: ProcessContext, system: str, kind: str | None = None) -> int:
    return handles.keep(ctx, bus_of(ctx.node).subscribe(system, kind or "*", caller=ctx))


async def _next(ctx: ProcessContext, number: int) -> dict[str, Any] | None:
    """The next event as a table, nil when the subscription is closed and empty."""
    subscription = handles.find(ctx.process, number, EventSubscription)
    try:
        event = await subscription.receive()
    except trio.EndOfChannel:
        return None
    table = {"system": event.system, "kind": event.kind, "path": event.path}
    return table if event.data is None else {**table, "data": event.data}


def _close(ctx: ProcessContext, number: int) -> bool:
    handles.find(ctx.process, number, EventSubscription).close()
    return True


def _send(ctx: ProcessContext, system: str, kind: str, path: str, data: Any = None) -> bool:
    bus_of(ctx.node).send(system, kind, path, data, caller=ctx)
    return True


MODULE = LuaModule(
    "events",
    operations={"subscribe": _subscribe, "next": _next, "close": _close, "send": _send},
)
