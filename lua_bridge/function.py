"""A `function.lua` entry: one invocation is a Lua process that runs in its caller's task.

Rules: DE1-DE7, PL10, PL14, F14, F15. A worker is a place in a Lua state where the chunk has run;
its module-level locals live as long as the worker. Each invocation is a process of that state,
with its own coroutines, channels, mailbox and globals, whose owner task is the caller's.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import attrs

from lua_bridge.codec import decode, encode, is_plain
from lua_bridge.limits import DEFAULT_LIMITS, Limits
from lua_bridge.process import Carried, LuaBody, LuaTarget
from lua_bridge.runner import runner_of
from lua_bridge.script import Script
from lua_bridge.shard import Shard
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

    __slots__ = ("_host", "_target", "early", "suspends")

    def __init__(
        self, host: Host, script: Script, method: str, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._host = host
        self._target = LuaTarget(script, method, limits)
        self.suspends = True
        self.early = True

    def make_worker(self) -> LuaWorker:
        """A place in a Lua state; the chunk runs at the first call (DE3)."""
        shard = runner_of(self._host).place(self._target.limits)
        return LuaWorker(shard, shard.new_worker())

    def drop_worker(self, payload: LuaWorker) -> None:
        """The chunk's locals are forgotten."""
        payload.shard.state.drop_worker(payload.id)

    async def run(self, frame: FrameContext, payload: LuaWorker, args: tuple[Any, ...]) -> Any:
        """One invocation; its value or its error (section 3.2)."""
        value, rest = self.begin(frame, payload, args)
        return value if rest is None else await rest

    def carry(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Copies of tables; what never changes stays (GC5, F4)."""
        return self._target.carry(args)

    def begin(
        self, frame: FrameContext, payload: LuaWorker, args: tuple[Any, ...]
    ) -> tuple[Any, Awaitable[Any] | None]:
        """The first steps, in the caller's own turn: a call that never waits needs no more.

        The turn may carry out what other scripts of this state asked for, so it runs as nobody.
        An invocation that ends in it is never seen by the kernel: nobody can know its PID, because
        whatever tells it to others is an operation, and those are carried out afterwards.
        """
        shard, node, target = payload.shard, frame.node, self._target
        if node.gate is not None or shard.busy or target.limits.isolated:
            return None, self._slowly(frame, payload, args)
        guarded = frame.inherited.guarded or node.strict
        identity = (frame.reserve(), frame.target.id, not guarded)
        token = running.set(NOBODY)
        try:
            idx, result = shard.call_now(payload.id, target, _flat(args), identity)
            if _just_ended(result, idx):
                shard.go_on(result[0])
                return decode(result[7], result[8:]), None
            body = LuaBody(shard, idx, target)
            frame.adopt(body)
            shard.done(result)
        finally:
            running.reset(token)
        if body.end is None:
            return None, self._rest(frame, body)
        body.stop()
        return body.end.unwrap(), None

    async def _slowly(self, frame: FrameContext, payload: LuaWorker, args: tuple[Any, ...]) -> Any:
        """An invocation whose first step comes in a turn of the runner."""
        shard = payload.shard
        carried = len(args) == 1 and type(args[0]) is Carried
        flat = args[0].flat if carried else encode(list(args))
        body = LuaBody(shard, shard.prepare_call(payload.id, self._target, flat), self._target)
        frame.adopt(body)
        return await self._rest(frame, body)

    async def _rest(self, frame: FrameContext, body: LuaBody) -> Any:
        try:
            return await body.run(frame)
        finally:
            body.stop()


def _flat(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments as `call_now` takes them: plain scalars as they are, all else flat."""
    if all(is_plain(arg) for arg in args):
        return (None, *args)
    if len(args) == 1 and type(args[0]) is Carried:
        flat: tuple[Any, ...] = args[0].flat
        return flat
    return encode(list(args))


def _just_ended(result: Any, idx: int) -> bool:
    """Whether all that came of a turn is that this invocation returned a value."""
    return (
        type(result) is tuple
        and result[1] > 0
        and result[2] == "exit"
        and result[3] == idx
        and result[1] == 4 + result[5]
        and result[6] is True
    )
