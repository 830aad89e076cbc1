"""Every limit of an entry, by itself: what happens there, and that the neighbour goes on (§2)."""

from typing import Any

import attrs
import pytest

from lua_bridge import Limits, slicing
from trio_actors import ErrorKind, ProcessError

OVER: dict[str, tuple[Limits, str, str]] = {
    "instructions": (
        Limits(instructions=100_000),
        "while true do pcall(error) end",
        "instruction limit exceeded",
    ),
    "memory": (
        Limits(memory=4 << 20),
        "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
        "memory limit exceeded",
    ),
    "isolated": (
        Limits(memory=4 << 20, isolated=True),
        "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
        "memory limit exceeded",
    ),
    "coroutines": (
        Limits(coroutines=10),
        "for i = 1, 10 do pcall(coroutine.spawn, function() channel.new():receive() end) end",
        "coroutine limit exceeded",
    ),
    "channels": (
        Limits(channels=10),
        "local t = {} for i = 1, 11 do pcall(function() t[i] = channel.new() end) end",
        "channel limit exceeded",
    ),
    "timers": (
        Limits(timers=10),
        "for i = 1, 11 do pcall(time.after, '1h') end",
        "timer limit exceeded",
    ),
}
WITHIN = {
    "coroutines": "for i = 1, 9 do coroutine.spawn(function() end) end process.inbox()",
    "channels": "local t = {} for i = 1, 10 do t[i] = channel.new() end",
    "timers": "for i = 1, 10 do time.after('1h') end",
}
NEIGHBOUR = """
return function()
  local inbox = process.inbox()
  while true do
    local m = inbox:receive()
    process.send(m:from(), "answer", m:payload() * 2)
  end
end
"""
ASK = """
return function(pid)
  process.send(pid, "ask", 21)
  return process.inbox():receive():payload()
end
"""


def test_every_limit_is_here() -> None:
    """Message sizes have tests of their own below"""
    names = {field.name for field in attrs.fields(Limits) if field.init}
    assert names == {*OVER, "message_size"}


@pytest.mark.parametrize("sliced", [True, False], ids=["sliced", "kill only"])
@pytest.mark.parametrize("name", OVER)
async def test_at_a_limit_the_process_fails_with_its_name(
    world: Any, name: str, sliced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TM8, T6: kind RATE_LIMITED, not caught by pcall; the neighbour in the same state answers"""
    if not sliced:
        monkeypatch.setenv(slicing.SWITCH, "0")
    limits, body, message = OVER[name]
    others = attrs.evolve(limits, isolated=False)
    neighbour = await world.host.spawn(world.lua("app:neighbour", NEIGHBOUR, limits=others))
    with pytest.raises(ProcessError) as caught:
        source = f"return function() {body} return 'not stopped' end"
        await world.run(source, limits=limits, modules=("time",))
    assert (caught.value.kind, caught.value.message) == (ErrorKind.RATE_LIMITED, message)
    assert await world.run(ASK, neighbour, limits=others) == 42


@pytest.mark.parametrize("name", WITHIN)
async def test_as_many_as_the_limit_are_fine(world: Any, name: str) -> None:
    """The limit itself is allowed"""
    source = f"return function() {WITHIN[name]} return 'fine' end"
    value = await world.run(source, limits=OVER[name][0], modules=("time",))
    assert value == "fine"


SIZES = """
return function(me)
  local small, big = ("x"):rep(1000), ("x"):rep(3000)
  local out = {}
  local function note(ok, e) out[#out + 1] = ok and "sent" or e:kind() .. ": " .. e:message() end
  note(process.send(process.pid(), "t", small))
  note(process.send(process.pid(), "t", big))
  note(process.send(process.pid(), "t", {a = big}))
  note(process.send(me, "t", big))
  note(process.call("app:none", "app:h", big))
  return out
end
"""


async def test_message_size(world: Any) -> None:
    """A message, an argument list or a result beyond the limit is refused, naming the limit"""
    limits = Limits(message_size=2000)

    async def test(ctx: Any) -> Any:
        target = world.lua("app:sizes", SIZES, limits=limits)
        return await world.node.call(target, ctx.pid, host=world.host)

    sent, *refused = await world.act(test)
    assert sent == "sent"
    assert len(refused) == 4
    assert {text.partition(" at ")[0] for text in refused} == {
        "Invalid: value is larger than 2000 bytes"
    }
    with pytest.raises(ProcessError, match="value is larger than 2000 bytes"):
        await world.run("return function() return ('x'):rep(3000) end", limits=limits)


async def test_defaults_are_on() -> None:
    """Without `limits:` every limit has a value"""
    default = Limits()
    assert default.instructions >= default.quantum
    values = [getattr(default, f.name) for f in attrs.fields(Limits) if f.init]
    assert all(value > 0 for value in values if not isinstance(value, bool))
