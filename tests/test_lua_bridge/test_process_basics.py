"""Lua processes on the kernel: results, messages, identity (spec 1, 2, 3)."""

from typing import Any

import pytest
import trio.testing

import trio_actors.sys
from trio_actors import ErrorKind, ProcessContext, ProcessError

MAIN = "local function main(...)\n%s\nend\nreturn {main = main}"


def main(body: str) -> str:
    return "local function main(...) " + body + " end return {main = main}"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return 7", 7),
        ("return 1.0", 1.0),
        ("return 'grün'", "grün"),
        ("return '\\xff\\0'", b"\xff\x00"),
        ("return", None),
        ("return false", False),
        ("return {1, 2, {a = true}}", [1, 2, {"a": True}]),
        ("return {}", []),
        ("return 5, nil", 5),
        ("return 5, 6", 5),
        ("return 5, {}", 5),
        ("return channel.new()", None),
    ],
)
async def test_exit_value(world: Any, body: str, value: object) -> None:
    """E20-E22, E25, M20, M23, M27"""
    result = await world.run(main(body))
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("body", "kind", "message", "retryable"),
    [
        ("return nil, 'no'", ErrorKind.INTERNAL, "no", None),
        ("return 1, 'no'", ErrorKind.INTERNAL, "no", None),
        ("error('boom')", ErrorKind.INTERNAL, "app/test.lua:1: boom", None),
        ("error({})", ErrorKind.INTERNAL, "(error object is a table value)", None),
        (
            "local x = nil; x.y = 1",
            ErrorKind.INTERNAL,
            "app/test.lua:1: attempt to index a nil value (local 'x')",
            None,
        ),
        (
            "coroutine.spawn(function() error('there') end); channel.new():receive()",
            ErrorKind.INTERNAL,
            "app/test.lua:1: there",
            None,
        ),
        (
            "channel.new():receive()",
            ErrorKind.INTERNAL,
            "deadlock: all coroutines blocked",
            None,
        ),
        ("return 1, errors.new{message = 'no', kind = 'Conflict'}", ErrorKind.CONFLICT, "no", None),
        (
            "return nil, errors.new{message = 'no', kind = 'Timeout', retryable = true}",
            ErrorKind.TIMEOUT,
            "no",
            True,
        ),
        (
            "return print",
            ErrorKind.INVALID,
            "cannot pass a function to another process",
            False,
        ),
    ],
)
async def test_exit_error(
    world: Any, body: str, kind: ErrorKind, message: str, retryable: bool | None
) -> None:
    """E23, E24, E26, E28, E36, G7, M24"""
    with pytest.raises(ProcessError) as caught:
        await world.run(main(body))
    error = caught.value
    assert (error.kind, error.message, error.retryable) == (kind, message, retryable)


async def test_arguments_bind_by_position(world: Any) -> None:
    """E7: missing ones are nil, surplus ones are dropped; nil among them is kept"""
    source = "return function(a, b, c) return {a = a, b = b == nil, c = c} end"
    assert await world.run(source, 1, None, 3, 4) == {"a": 1, "b": True, "c": 3}


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("x = = 1", ErrorKind.INVALID, "app/test.lua:1: unexpected symbol near '='"),
        ("return {}", ErrorKind.NOT_FOUND, 'method "main" not found in module'),
        ("error('early')", ErrorKind.INTERNAL, "app/test.lua:1: early"),
        (
            "channel.new():receive()",
            ErrorKind.INTERNAL,
            "app/test.lua:1: cannot block while the chunk is being loaded",
        ),
    ],
)
async def test_broken_chunk_fails_the_spawn(
    world: Any, source: str, kind: ErrorKind, message: str
) -> None:
    """E5, E6: no process comes into being"""
    before = len(world.node.processes)
    with pytest.raises(ProcessError) as caught:
        await world.run(source)
    assert (caught.value.kind, caught.value.message) == (kind, message)
    assert len(world.node.processes) == before


async def test_python_and_lua_talk(world: Any) -> None:
    """PY15, L7, L15: a message goes there and back"""
    echo = world.lua(
        "app:echo",
        main(
            "local inbox = process.inbox() "
            "while true do local m = inbox:receive() "
            "process.send(m:from(), 'echo', m:payload(), m:topic()) end"
        ),
    )

    async def actor(ctx: ProcessContext) -> Any:
        pid = await ctx.spawn(echo)
        ctx.send(pid, "hello", {"n": [1, None, "ü"]})
        message = await ctx.inbox.receive()
        assert message.sender == pid
        ctx.terminate(pid)
        return message.payload

    assert await world.act(actor) == [{"n": {1: 1, 3: "ü"}}, "hello"]


async def test_lua_processes_of_one_state_talk(world: Any) -> None:
    """M1, M12, M15: order is kept, tables are copied"""
    world.lua(
        "app:child",
        main(
            "local parent = ...; local t = {n = 0} "
            "for i = 1, 100 do t.n = i; process.send(parent, 'count', t) end"
        ),
    )
    result = await world.run(
        main(
            "local ch = process.listen('count') "
            "process.spawn('app:child', 'app:h', process.pid()) "
            "local sum = 0 for i = 1, 100 do local t = ch:receive(); "
            "if t.n ~= i then error('order') end sum = sum + t.n end return sum"
        )
    )
    assert result == 5050


async def test_a_dump_names_the_line_where_a_script_waits(autojump_clock: Any, world: Any) -> None:
    """The main coroutine's line, also below functions of its own; none of the host's code."""
    source = """local function waits(ch)
      return (ch:receive())
    end
    return function()
      process.send(process.pid(), "t", 1)
      waits(process.events())
    end"""
    await world.host.spawn(world.lua("app:waits", source))
    await trio.testing.wait_all_tasks_blocked()
    line = trio_actors.sys.dump(world.node).splitlines()[1]
    assert line.endswith(", 1 unread; waits at app/waits.lua:2")


async def test_a_script_has_these_globals_without_declaration(world: Any) -> None:
    """E2, E3: and no module that it has not declared."""
    body = """local found = {}
      for _, name in ipairs{"process", "channel", "errors", "os", "coroutine", "string", "table",
        "math", "time", "json", "funcs", "io", "debug"} do found[name] = type(_G[name]) end
      found.print = type(print)
      return found"""
    free = ("process", "channel", "errors", "os", "coroutine", "string", "table", "math")
    expected = dict.fromkeys(free, "table") | {"print": "function"}
    expected |= dict.fromkeys(("time", "json", "funcs", "io", "debug"), "nil")
    assert await world.run(main(body)) == expected
