"""What crosses from process to process, in and between both languages (processes.md §2.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing
from stage import Stage, open_stage

from lua_bridge import LuaTarget, Script
from trio_actors import ProcessContext, ProcessInvalid


@pytest.fixture
async def copying(
    autojump_clock: trio.testing.MockClock, languages: tuple[str, str]
) -> AsyncIterator[Stage]:
    """A stage on which everything is copied: from Python to Python that has to be asked for."""
    async with open_stage(copy_messages=languages == ("python", "python")) as opened:
        yield opened


def script(source: str) -> LuaTarget:
    """A sender in Lua."""
    return LuaTarget(Script("stage:sender", source))


async def sends_and_changes(ctx: ProcessContext, to: str) -> None:
    """Changes what it has sent, at every level and before anybody has read it."""
    inner = [1, {"deep": "old"}]
    table: dict[str, Any] = {"n": 1, "inner": inner}
    ctx.send(to, "t", table)
    ctx.send(to, "t", "several", table)
    table["n"], table["new"] = 2, True
    inner[0] = 2
    inner[1]["deep"] = "new"  # type: ignore[index]


SENDS_AND_CHANGES = {
    "python": sends_and_changes,
    "lua": script("""return function(to)
      local inner = {1, {deep = "old"}}
      local t = {n = 1, inner = inner}
      process.send(to, "t", t)
      process.send(to, "t", "several", t)
      t.n, t.new, inner[1], inner[2].deep = 2, true, 2, "new"
    end"""),
}


async def test_sc17_a_table_that_is_changed_afterwards_arrives_as_it_was(
    copying: Stage, languages: tuple[str, str]
) -> None:
    """SC17, M15, M21, M26: nobody sees what the sender does to it later."""
    receiver = await copying.puppet(languages[1])
    sender = await copying.host.spawn(SENDS_AND_CHANGES[languages[0]], receiver.pid)
    (await copying.node.wait(sender)).unwrap()
    old = {"n": 1, "inner": [1, {"deep": "old"}]}
    assert await receiver.inbox() == [["t", sender, old], ["t", sender, ["several", old]]]


async def test_sc17_what_the_receiver_changes_the_sender_does_not_see(
    copying: Stage, languages: tuple[str, str]
) -> None:
    """SC17, M15: in the other direction as well."""
    node = copying.node
    receiver = await copying.host.spawn(CHANGES[languages[1]])
    sender = await copying.host.spawn(COMPARES[languages[0]], receiver)
    assert (await node.wait(sender)).unwrap() == {"n": 1, "list": [1]}


async def changes(ctx: ProcessContext) -> None:
    """Changes what it gets, then says so."""
    message = await ctx.inbox.receive()
    message.payload["n"] = 2
    message.payload["list"].append(2)
    ctx.send(message.sender, "changed")


async def compares(ctx: ProcessContext, to: str) -> Any:
    """Gives what it sees of its own table afterwards."""
    table = {"n": 1, "list": [1]}
    ctx.send(to, "t", table)
    await ctx.inbox.receive()
    return table


CHANGES = {
    "python": changes,
    "lua": script("""return function()
      local m = process.inbox():receive()
      m:payload().n = 2
      table.insert(m:payload().list, 2)
      process.send(m:from(), "changed")
    end"""),
}
COMPARES = {
    "python": compares,
    "lua": script("""return function(to)
      local t = {n = 1, list = {1}}
      process.send(to, "t", t)
      process.inbox():receive()
      return t
    end"""),
}


SENDS_CHANNELS = script("""return function(to)
  process.send(to, "t", channel.new())
  process.send(to, "t", {ch = process.inbox(), n = 1})
  process.send(to, "t", 1, channel.new(2), 3)
end""")


async def test_sc17_a_channel_arrives_as_nil(stage: Stage, language: str) -> None:
    """SC17, M23, M33: alone, as a field, and between other values."""
    receiver = await stage.puppet(language)
    sender = await stage.host.spawn(SENDS_CHANNELS, receiver.pid)
    (await stage.node.wait(sender)).unwrap()
    with trio.fail_after(1):
        payloads = [payload for _, _, payload in await receiver.inbox()]
    if language == "lua":  # the puppet has tables without these fields, and hands them on as dicts
        assert payloads == [None, {"n": 1}, {1: 1, 3: 3}]
    else:
        assert payloads == [None, {"n": 1, "ch": None}, [1, None, 3]]


async def sends_functions(ctx: ProcessContext, to: str) -> list[str]:
    """Gives the texts of the refusals."""
    refused = []
    for payload in (print, {"deep": [print]}):
        with pytest.raises(ProcessInvalid) as caught:
            ctx.send(to, "t", payload)
        refused.append(str(caught.value))
    with pytest.raises(ProcessInvalid) as caught:
        ctx.send(to, "t", 1, print)
    return [*refused, str(caught.value)]


SENDS_FUNCTIONS = {
    "python": sends_functions,
    "lua": script("""return function(to)
      local refused = {}
      local function put(ok, err)
        assert(ok == nil and err:kind() == errors.INVALID and err:retryable() == false)
        local path = err:details() and " at " .. err:details().path or ""
        refused[#refused + 1] = tostring(err) .. path
      end
      put(process.send(to, "t", print))
      put(process.send(to, "t", {deep = {function() end}}))
      put(process.send(to, "t", 1, coroutine.create(print)))
      return refused
    end"""),
}
REFUSALS = {
    "python": [
        "cannot pass a builtins.builtin_function_or_method to Lua",
        "cannot pass a builtins.builtin_function_or_method to Lua at .deep[0]",
        "cannot pass a builtins.builtin_function_or_method to Lua at [1]",
    ],
    "lua": [
        "cannot pass a function to another process",
        "cannot pass a function to another process at .deep[1]",
        "cannot pass a coroutine to another process at [2]",
    ],
}


async def test_sc17_a_function_is_refused(stage: Stage, languages: tuple[str, str]) -> None:
    """SC17, M24, M26, M27: INVALID that says where, and nothing arrives."""
    receiver = await stage.puppet(languages[1])
    if languages == ("python", "python"):
        receiver.stage.node.send(receiver.pid, "t", print)  # by reference, like any object
        assert (await receiver.inbox())[0][2] is print
        return
    sender = await stage.host.spawn(SENDS_FUNCTIONS[languages[0]], receiver.pid)
    assert (await stage.node.wait(sender)).unwrap() == REFUSALS[languages[0]]
    assert await receiver.inbox() == []
