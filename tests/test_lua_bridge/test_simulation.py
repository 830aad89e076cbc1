"""Lua under a gate: all it sends passes `post`, and the gate decides the order (TS1, TS20)."""

from typing import Any

import trio
import trio.testing

from trio_actors import Message, ProcessContext
from trio_actors._core.node import Gate


class Holding(Gate):
    """A gate that keeps messages until told; events and starts pass."""

    def __init__(self) -> None:
        self.kept: list[tuple[Any, Any]] = []
        self.seen: list[str] = []

    def post(self, source: Any, target: Any, item: Any) -> None:
        if isinstance(item, Message):
            self.seen.append(item.topic)
            self.kept.append((target, item))
        else:
            target.deliver(item)

    def release(self, topic: str) -> None:
        for pair in list(self.kept):
            if pair[1].topic == topic:
                self.kept.remove(pair)
                pair[0].deliver(pair[1])


async def test_messages_of_one_state_pass_the_gate(open_world: Any) -> None:
    """TS1, TS20: also between two processes of one Lua state"""
    async with open_world() as world:
        world.node.install(gate := Holding())
        world.lua(
            "app:child",
            "return function(p) process.send(p, 'a', {1}) process.send(p, 'b', 2) end",
        )
        parent = world.lua(
            "app:parent",
            "return function() local i = process.inbox() "
            "process.spawn('app:child', 'app:h', process.pid()) "
            "local m, n = i:receive(), i:receive() "
            "return {m:topic(), m:payload(), n:topic(), n:payload()} end",
        )
        pid = await world.host.spawn(parent)
        await trio.testing.wait_all_tasks_blocked()
        assert gate.seen == ["a", "b"]
        gate.release("b")
        gate.release("a")
        assert (await world.node.wait(pid)).value == ["b", 2, "a", [1]]


async def test_between_the_languages(open_world: Any) -> None:
    """TS1: there and back, payloads as ever"""
    async with open_world() as world:
        world.node.install(gate := Holding())
        echo = world.lua(
            "app:echo",
            "return function() local m = process.inbox():receive() "
            "process.send(m:from(), 'back', m:payload()) end",
        )

        async def actor(ctx: ProcessContext) -> Any:
            pid = await ctx.spawn(echo)
            ctx.send(pid, "there", {"x": [1, 2]})
            await trio.testing.wait_all_tasks_blocked()
            gate.release("there")
            await trio.testing.wait_all_tasks_blocked()
            gate.release("back")
            return (await ctx.inbox.receive()).payload

        assert await world.act(actor) == {"x": [1, 2]}
        assert gate.seen == ["there", "back"]


async def test_cancelled_host_ends_lua_processes(open_world: Any) -> None:
    """E37: cancellation from outside reaches scripts that compute and scripts that wait"""
    exits = []
    with trio.CancelScope() as scope:
        async with open_world() as world:
            idle = world.lua("app:idle", "return function() process.inbox():receive() end")
            loop = world.lua(
                "app:loop", "return function() while true do coroutine.yield() end end"
            )
            for target in (idle, loop):
                pid = await world.host.spawn(target)
                world.node.processes[pid].on_exit(exits.append)
            for _ in range(20):
                await trio.lowlevel.checkpoint()
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert [exit.abnormal for exit in exits] == [True, True]
