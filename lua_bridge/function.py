"""A `function.lua` entry: one invocation is a Lua process that runs in its caller's task.

Rules: DE1-DE7, PL10, PL14, F14, F15. A worker is a place in a Lua state where the chunk has run;
its module-level locals live as long as the worker. Each invocation is a process of that state,
with its own coroutines, channels, mailbox and globals, whose owner task is the caller's.
"""

from __future__ import annotations

from typing import Any

import attrs

from lua_bridge.codec import encode
from lua_bridge.limits import DEFAULT_LIMITS, Limits
from lua_bridge.process import Carried, LuaBody, LuaTarget
from lua_bridge.runner import SECONDS, STEPS, Shard, runner_of
from lua_bridge.script import Script
from trio_actors import Host
from trio_actors._core.current import Stepping, running
from trio_actors.functions import FrameContext

__all__ = ["LuaCallee"]

NOBODY = Stepping()  # no process is being stepped: `current()` gives none


@attrs.define(slots=True, eq=False)
class LuaWorker:
    """A loaded chunk in one Lua state."""

    shard: Shard
    id: int


class LuaCallee:
    """The code of a Lua function, to be installed in the functions service.

    Args:
        host: a running host whose Lua runner steps the invocations.
        script: the chunk; `method` is called if it returns a table (DE2).
    """

    __slots__ = ("_count", "_host", "_target", "suspends")

    def __init__(
        self, host: Host, script: Script, method: str, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._host = host
        self._target = LuaTarget(script, method, limits)
        self._count = 0
        self.suspends = True

    def make_worker(self) -> LuaWorker:
        """A place in a Lua state; the chunk runs at the first call (DE3)."""
        shard = runner_of(self._host).place(self._target.limits)
        return LuaWorker(shard, shard.new_worker())

    def drop_worker(self, payload: LuaWorker) -> None:
        """The chunk's locals are forgotten."""
        payload.shard.state.drop_worker(payload.id)

    async def run(self, frame: FrameContext, payload: LuaWorker, args: tuple[Any, ...]) -> Any:
        """One invocation; its value or its error (section 3.2)."""
        carried = len(args) == 1 and type(args[0]) is Carried
        flat = args[0].flat if carried else encode(list(args))
        shard = payload.shard
        body = LuaBody(shard, shard.prepare_call(payload.id, self._target, flat), self._target)
        try:
            frame.adopt(body)
            if frame.node.gate is None:
                self._step_now(shard, body)
            if body.end is None:
                return await body.run(frame)
            return body.end.unwrap()
        finally:
            body.stop()

    def _step_now(self, shard: Shard, body: LuaBody) -> None:
        """The first steps in the caller's own turn: a call that never waits needs no other task.

        The turn may carry out what other scripts of this state asked for, so it runs as nobody.
        """
        token = running.set(NOBODY)
        try:
            shard.state.begin(body.idx)
            shard.turn(STEPS, SECONDS)
        finally:
            running.reset(token)
