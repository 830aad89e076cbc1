"""Scripts that compute: time slices, kills, budgets (TM8, T6, T7), with and without slicing."""

import os
from typing import Any

import pytest
import trio

from lua_bridge import Limits, slicing
from trio_actors import ErrorKind, ProcessContext, ProcessError

SMALL = Limits(instructions=2_000_000)


@pytest.fixture(params=["sliced", "kill only"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "sliced" and not slicing.available():
        pytest.skip("this build of lupa does not export the C API")
    monkeypatch.setenv(slicing.SWITCH, "1" if request.param == "sliced" else "0")
    return str(request.param)


LOOPS = {
    "plain": "while true do end",
    "pcall": "while true do pcall(function() while true do end end) end",
    "xpcall": "xpcall(function() while true do end end, function(e) while true do end end)",
    "coroutine": "local g = coroutine.wrap(function() while true do end end) g() while true do end",
    "resume": "local f = function() while true do end end "
    "while true do coroutine.resume(coroutine.create(f)) end",
    "sort": "table.sort({1,2,3,4,5,6}, function(a, b) while true do end end)",
    "pcall in sort": "local f = function() while true do end end "
    "pcall(table.sort, {3,2,1}, function(a, b) while true do pcall(f) end end)",
    "gsub": "string.gsub('aaa', 'a', function() while true do end end)",
    "tostring": "tostring(setmetatable({}, {__tostring = function() while true do end end}))",
    "close": "local x <close> = setmetatable({}, {__close = function() while true do end end})",
    "index": "local f = function() while true do end end "
    "local x = setmetatable({}, {__index = f}).a",
    "recursion": "local function f() return pcall(f) end while true do f() end",
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
async def test_instruction_budget_ends_a_loop(world: Any, mode: str, loop: str) -> None:
    """TM8: no pcall, handler, coroutine or callback survives the budget"""
    with pytest.raises(ProcessError) as caught:
        await world.run(f"return function() {loop} end", limits=SMALL)
    assert caught.value.kind is ErrorKind.RATE_LIMITED
    assert caught.value.message == "instruction limit exceeded"


async def test_a_neighbour_is_unharmed(world: Any, mode: str) -> None:
    """TM2, TM4: after a kill another process of the same state goes on"""
    loop = world.lua("app:loop", "return function() while true do end end", limits=SMALL)
    value = await world.run(
        "return function() local ev = process.events() "
        "process.spawn_monitored('app:loop', 'app:h') local e = ev:receive() "
        "return e.result.error:message() end",
        limits=SMALL,
    )
    assert loop.id == "app:loop"
    assert value == "instruction limit exceeded"


async def test_budget_counts_one_step(world: Any, mode: str) -> None:
    """TM8: blocking begins a new budget"""
    source = """
      return function()
        local ch, n = channel.new(1), 0
        for i = 1, 40 do
          for j = 1, 20000 do n = n + 1 end
          ch:send(i); ch:receive()
          coroutine.yield()
        end
        return n
      end"""
    assert await world.run(source, limits=Limits(instructions=1_000_000)) == 800_000


@pytest.mark.skipif(not slicing.available(), reason="needs the C API of lupa")
class TestSliced:
    async def test_terminate_ends_a_loop_inside_pcall(self, world: Any) -> None:
        """SC15, T6, T7"""
        target = world.lua(
            "app:loop",
            "return function() while true do pcall(function() while true do end end) end end",
        )
        pid = await world.host.spawn(target)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        world.node.terminate(pid)
        exit = await world.node.wait(pid)
        assert exit.error.message == "process terminated"

    async def test_others_keep_running(self, world: Any) -> None:
        """TM8: a computing script gives turns to its neighbours and to Python"""
        loop = world.lua("app:loop", "return function() while true do end end")
        echo = world.lua(
            "app:echo",
            "return function() local i = process.inbox() while true do local m = i:receive() "
            "process.send(m:from(), 'pong', m:payload()) end end",
        )

        async def actor(ctx: ProcessContext) -> int:
            looping = await ctx.spawn(loop)
            peer = await ctx.spawn(echo)
            for i in range(20):
                ctx.send(peer, "ping", i)
                message = await ctx.inbox.receive()
                assert message.payload == i
            ctx.terminate(looping)
            return 20

        assert await world.act(actor) == 20

    async def test_slices_never_switch_inside_a_process(self, world: Any) -> None:
        """G3: between two blocking operations no other coroutine of the process runs"""
        source = """
          return function()
            local shared, seen = 0, 0
            local done = channel.new(2)
            for c = 1, 2 do
              coroutine.spawn(function()
                for i = 1, 5 do
                  local before = shared
                  for j = 1, 60000 do end
                  if shared ~= before then error("raced") end
                  shared = before + 1
                  coroutine.yield()
                end
                done:send(true)
              end)
            end
            done:receive(); done:receive()
            return shared
          end"""
        assert await world.run(source) == 10


def test_the_switch_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """TM8: slicing can be turned off"""
    monkeypatch.setenv(slicing.SWITCH, "0")
    assert not slicing.wanted()
    assert os.environ[slicing.SWITCH] == "0"
