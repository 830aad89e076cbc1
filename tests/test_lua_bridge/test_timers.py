"""Timers of several Lua states of one host: each fires at its time, stopped ones never."""

from typing import Any

import pytest
import trio

from lua_bridge import Limits
from lua_bridge.shard import Shard

ALONE = Limits(isolated=True)


async def test_a_stopped_timer_delays_nobody(world: Any, autojump_clock: Any) -> None:
    """D3: the alarm of the host stays with the first timer that is left"""
    start = trio.current_time()
    restless = world.lua(
        "app:restless",
        "return function() local t = time.timer('10s') process.inbox():receive() t:stop() "
        "time.sleep('21s') end",
        modules=("time",),
        limits=ALONE,
    )
    sleeper = world.lua(
        "app:sleeper",
        "return function() time.sleep('10500ms') return 'awake' end",
        modules=("time",),
        limits=ALONE,
    )
    first = await world.host.spawn(restless)
    second = await world.host.spawn(sleeper)
    await trio.sleep(9)
    world.node.send(first, "stop")
    assert (await world.node.wait(second)).value == "awake"
    assert trio.current_time() - start == pytest.approx(10.5, abs=0.01)
    await world.node.wait(first)
    assert trio.current_time() - start == pytest.approx(30, abs=0.01)


ORDER = """
return function()
  local out, left = {}, channel.new(100)
  for i, ms in ipairs{50, 10, 30, 10, 20, 40, 10} do
    coroutine.spawn(function() time.sleep(ms .. "ms") left:send(i .. ":" .. ms) end)
  end
  for i = 1, 7 do out[i] = left:receive() end
  return out
end
"""


async def test_timers_fire_in_order(world: Any, autojump_clock: Any) -> None:
    """TS2: by their times, and those of one time as they were made"""
    found = await world.run(ORDER, modules=("time",))
    assert found == ["2:10", "4:10", "7:10", "5:20", "3:30", "6:40", "1:50"]


MANY = """
return function()
  local kept, fired = {}, 0
  for i = 1, 400 do
    local t = time.timer((i % 20 + 1) .. "s")
    if i % 4 == 0 then kept[#kept + 1] = t else t:stop() end
  end
  for _, t in ipairs(kept) do if t:channel():receive() then fired = fired + 1 end end
  return {fired, #kept}
end
"""


async def test_stopped_timers_are_forgotten(world: Any, autojump_clock: Any) -> None:
    """Those that are left fire, once each, also after the heap was tidied"""
    start = trio.current_time()
    assert await world.run(MANY, modules=("time",)) == [100, 100]
    assert trio.current_time() - start == pytest.approx(17, abs=0.01)


async def test_timers_go_with_their_process(world: Any, autojump_clock: Any) -> None:
    """T6, U4: a process that is ended leaves nothing that fires"""
    source = "return function() time.after('5s') time.ticker('1s') process.inbox():receive() end"
    target = world.lua("app:holder", source, modules=("time",))
    pids = [await world.host.spawn(target) for _ in range(50)]
    await trio.sleep(2.5)
    for pid in pids:
        world.node.terminate(pid)
    await trio.sleep(10)
    assert world.host.alive == 0


AT_ONCE = """
return function(n)
  local made, order = {}, true
  for i = 1, n do made[i] = time.after("1s") end
  local ticks = channel.new(n)
  for i = 1, n do coroutine.spawn(function() made[i]:receive() ticks:send(i) end) end
  for i = 1, n do order = order and ticks:receive() == i end
  return order
end
"""


async def test_many_timers_at_once_leave_turns_to_others(
    world: Any, autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TS2: those due together fire in their order, at most 64 in one turn of the state"""
    turns: list[float] = []
    work = Shard.work

    def noted(shard: Shard, steps: int, seconds: float) -> Any:
        turns.append(trio.current_time())
        return work(shard, steps, seconds)

    monkeypatch.setattr(Shard, "work", noted)
    start = trio.current_time()
    assert await world.run(AT_ONCE, 640, modules=("time",)) is True
    assert trio.current_time() - start == pytest.approx(1, abs=0.01)
    assert len([at for at in turns if at > start + 0.5]) >= 10


async def test_a_ticker_of_a_nanosecond_leaves_the_timers_of_others(
    world: Any, autojump_clock: Any
) -> None:
    """D4: with a thousand such tickers next to it, a short sleep still ends"""
    flood = world.lua(
        "app:flood",
        "return function() for i = 1, 1000 do time.ticker(1) end process.inbox():receive() end",
        modules=("time",),
    )
    pid = await world.host.spawn(flood)
    with trio.fail_after(20):
        nap = "return function() for i = 1, 3 do time.sleep(1000) end return 'awake' end"
        assert await world.run(nap, modules=("time",)) == "awake"
    world.node.terminate(pid)
