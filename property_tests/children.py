"""The life of a child that a supervisor has started."""

from __future__ import annotations

from collections.abc import Callable

import trio

from trio_actors import ProcessContext, ProcessError, Shutdown


async def live(ctx: ProcessContext, stop: Callable[[], object]) -> None:
    """Ends in the way that its first message names, or, after `stop`, when it is asked to end."""
    how = "stop"
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await ctx.events.receive()
            stop()
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        how = (await ctx.inbox.receive()).topic
        nursery.cancel_scope.cancel()
    if how == "abnormal":
        raise ProcessError("crash")
    if how == "shutdown":
        raise Shutdown
