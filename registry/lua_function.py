"""The code of a `function.lua` entry: each call runs the script as a process of its own.

A call is a Lua process on the function's own host (P8), and the caller waits for its end inside its
own cancel scope: cancelled with its caller (F11), with the caller's context, actor and scope (CX2).
The chunk runs once per call, so a script keeps nothing between calls (PL14 allows it to).

Rules: P6, P8, F11, F14, F15, DE1, DE2.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import attrs
import trio

from lua_bridge import LuaTarget
from trio_actors import Host
from trio_actors._core.exit import terminated
from trio_actors._core.spawn import launch, wait_for_end
from trio_actors.functions import FrameContext
from trio_actors.functions.permission import inherited_of


@attrs.frozen(slots=True)
class LuaCallee:
    """A Lua function for the functions service (`trio_actors.functions.Callee`)."""

    host: Host
    target: LuaTarget
    suspends: bool = True

    def make_worker(self) -> None:
        """Nothing is kept per worker."""

    def drop_worker(self, payload: Any) -> None:
        """Nothing to drop."""

    def run(self, frame: FrameContext, payload: Any, args: tuple[Any, ...]) -> Awaitable[Any]:
        """One call: its value or its error. Cancelled, it ends the script before it returns."""
        return self._run(frame, args)

    async def _run(self, frame: FrameContext, args: tuple[Any, ...]) -> Any:
        node = self.host.node
        inherited = inherited_of(frame)
        process = launch(node, self.target, args, host=self.host, inherited=inherited)
        try:
            end = await wait_for_end(process)
        except trio.Cancelled:
            if not process.ended:
                process.force(terminated(node.control))
            if not process.ended:
                with trio.CancelScope(shield=True):
                    await wait_for_end(process)  # noqa: ASYNC120  shielded: the script unwinds
            raise
        return end.unwrap()
