"""What crosses from process to process, in and between both languages (processes.md §2.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from stage import Stage, open_stage

from lua_bridge import LuaTarget, Script
from trio_actors import ProcessContext, ProcessInvalid
from trio_actors._core.function import function_target


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


# -- what is shared, and what contains itself


def knot() -> dict[str, Any]:
    """A list and a dict that contain themselves and each other, and are there twice."""
    ring: list[Any] = [1]
    table: dict[str, Any] = {"ring": ring, "again": ring}
    table["self"] = table
    ring += [ring, table]
    return table


def is_knot(table: Any) -> bool:
    """Whether it is as `knot` has made it."""
    ring = table["ring"]
    same = [table["again"] is ring, table["self"] is table, ring[1] is ring, ring[2] is table]
    return all(same) and ring[0] == 1 and (len(ring), len(table)) == (3, 3)


async def ties(ctx: ProcessContext, to: str) -> Any:
    """Sends a knot, and then returns one."""
    ctx.send(to, "t", knot())
    return knot()


async def unties(ctx: ProcessContext, id: str, argument: Any) -> list[bool]:
    """Gets one as argument, as a message, as the result of a call and in an EXIT."""
    args = (ctx.pid,)
    called = await ctx.call(id, *args, host="stage:host")
    message = await ctx.inbox.receive()
    await ctx.spawn(id, *args, monitor=True)
    event = await ctx.events.receive()
    return [is_knot(value) for value in (argument, message.payload, called, event.result.value)]


TIES = {
    "python": function_target(ties, id="stage:ties"),
    "lua": script("""return function(to)
      local function knot()
        local ring = {1}
        local t = {ring = ring, again = ring}
        t.self, ring[2], ring[3] = t, ring, t
        return t
      end
      process.send(to, "t", knot())
      return knot()
    end"""),
}
UNTIES = {
    "python": unties,
    "lua": script("""return function(id, argument)
      local function is_knot(t)
        local ring = t.ring
        return t.again == ring and t.self == t and ring[2] == ring and ring[3] == t and ring[1] == 1
      end
      local called = process.call(id, "stage:host", process.pid())
      local m = process.inbox():receive()
      process.spawn_monitored(id, "stage:host", process.pid())
      local event = process.events():receive()
      return {is_knot(argument), is_knot(m:payload()), is_knot(called), is_knot(event.result.value)}
    end"""),
}


async def test_m21_what_contains_itself_crosses_as_it_is(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """M15, M21, M26, E10: as argument, message, result of a call and in EXIT, in all directions."""

    class Source:
        def find(self, id: str) -> Any:
            return TIES[languages[0]] if id == "race:ties" else None

    stage.node.add_source(Source())
    pid = await stage.host.spawn(UNTIES[languages[1]], "race:ties", knot())
    assert (await stage.node.wait(pid)).unwrap() == [True] * 4


async def test_m21_an_attrs_object_that_contains_itself_is_refused(stage: Stage) -> None:
    """M27: its fields are a table of their own each time, which would have no end."""

    @attrs.define
    class Loop:
        inner: Any = None

    loop = Loop()
    loop.inner = [loop]
    receiver = await stage.puppet("lua")
    with pytest.raises(ProcessInvalid, match=r"Loop that contains itself cannot cross to Lua$"):
        stage.node.send(receiver.pid, "t", loop)


async def test_b1_shared_context_values_are_copied_once(stage: Stage, language: str) -> None:
    """B1: eighteen tables, each twice in the next, are not 262,144."""
    value: list[Any] = [1]
    for _ in range(18):
        value = [value, value]
    puppet = await stage.puppet(language)
    pid = await puppet.do("spawn", "stage:puppet", "stage:host", "", {"context": {"v": value}})
    copy = stage.node.processes[pid].inherited.values["v"]
    for _ in range(18):
        assert copy[0] is copy[1]
        copy = copy[0]
    assert copy == [1]
    assert copy is not value
