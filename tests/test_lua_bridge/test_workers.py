"""Hosts with several worker threads for Lua (Z1, Z4, TM6)."""

import threading
from typing import Any

import pytest
import trio

from trio_actors import ProcessContext, ProcessError


@pytest.fixture
async def threaded(open_world: Any) -> Any:
    async with open_world(workers=2) as world:
        yield world


async def test_messages_names_and_exits_are_as_with_one_thread(threaded: Any) -> None:
    """Z4: order, monitors, names and results do not change"""
    threaded.lua(
        "app:child",
        "return function(p, n) for i = 1, n do process.send(p, 'n', i) end return n end",
    )
    source = """
      return function(children, n)
        process.registry.register("parent")
        local inbox, events = process.inbox(), process.events()
        local last, sum = {}, 0
        for i = 1, children do
          local pid = process.spawn_monitored("app:child", "app:h", process.pid(), n)
          last[pid] = 0
        end
        for i = 1, children * n do
          local m = inbox:receive()
          if m:payload() ~= last[m:from()] + 1 then error("order") end
          last[m:from()] = m:payload()
        end
        for i = 1, children do sum = sum + events:receive().result.value end
        return sum
      end"""
    assert await threaded.run(source, 8, 50) == 400


async def test_python_and_lua_talk(threaded: Any) -> None:
    """Z4: framework state stays on the Trio thread (TM6)"""
    echo = threaded.lua(
        "app:echo",
        "return function() local i = process.inbox() while true do local m = i:receive() "
        "process.send(m:from(), 'echo', m:payload()) end end",
    )
    here = threading.get_ident()

    async def actor(ctx: ProcessContext) -> int:
        pids = [await ctx.spawn(echo) for _ in range(6)]
        for i in range(20):
            for pid in pids:
                ctx.send(pid, "ping", i)
            for _ in pids:
                assert (await ctx.inbox.receive()).payload == i
                assert threading.get_ident() == here
        for pid in pids:
            ctx.terminate(pid)
        return 20

    assert await threaded.act(actor) == 20


async def test_the_trio_thread_lives_while_scripts_compute(threaded: Any) -> None:
    """Z4, T7: endless loops in both threads hold up neither Trio nor their own end"""
    loop = threaded.lua("app:loop", "return function() while true do end end")
    pids = [await threaded.host.spawn(loop) for _ in range(2)]
    for _ in range(20):
        await trio.lowlevel.checkpoint()
    for pid in pids:
        threaded.node.terminate(pid)
    for pid in pids:
        exit = await threaded.node.wait(pid)
        assert exit.error.message == "process terminated"


async def test_errors_and_upgrades(threaded: Any) -> None:
    """Z4: failures are told as always"""
    with pytest.raises(ProcessError, match="boom"):
        await threaded.run("return function() error('boom') end")
    source = "return function(n) if n == 3 then return n end process.upgrade(nil, n + 1) end"
    assert await threaded.run(source, 0) == 3
