"""Channels, select, coroutines in one process (spec 9.1-9.3), one promise per script."""

from typing import Any

import pytest
import trio
import trio.testing

from trio_actors import ErrorKind, ProcessContext, ProcessError

SCRIPTS: dict[str, tuple[str, Any]] = {
    "H1 default size and negative size are unbuffered": (
        "local a, b = channel.new(), channel.new(-3) local r = {} "
        "for i, ch in ipairs{a, b} do "
        "r[i] = channel.select{ch:case_send(1), default = true}.default end return r",
        [True, True],
    ),
    "H2 a buffer takes n values": (
        "local ch = channel.new(2) ch:send(1) ch:send(2) "
        "return channel.select{ch:case_send(3), default = true}.default",
        True,
    ),
    "H3 closed and drained gives nil, false for ever": (
        "local ch = channel.new(1) ch:send('x') ch:close() "
        "local a, ok = ch:receive() local b, ok2 = ch:receive() local c, ok3 = ch:receive() "
        "return {a, ok, b == nil, ok2, ok3}",
        ["x", True, True, False, False],
    ),
    "H4 nil travels, values go by reference": (
        "local ch = channel.new(2) local t = {} ch:send(nil) ch:send(t) "
        "local a, ok = ch:receive() return {a == nil, ok, ch:receive() == t}",
        [True, True, True],
    ),
    "H5 waiting senders are served in order through a buffer": (
        "local ch, out = channel.new(1), {} "
        "for i = 1, 5 do coroutine.spawn(function() ch:send(i) end) end "
        "coroutine.yield() for i = 1, 5 do out[i] = ch:receive() end return out",
        [1, 2, 3, 4, 5],
    ),
    "H5 waiting receivers are served in order": (
        "local ch, done, out = channel.new(), channel.new(), {} "
        "for i = 1, 3 do coroutine.spawn(function() out[i] = ch:receive() done:send(true) end) end "
        "coroutine.yield() for i = 1, 3 do ch:send(i * 10) end "
        "for i = 1, 3 do done:receive() end return out",
        [10, 20, 30],
    ),
    "H6 H8 send on a closed channel raises, closing twice is nothing": (
        "local ch = channel.new() ch:close() ch:close() "
        "local ok, e = pcall(ch.send, ch, 1) return {ok, string.find(e, 'send on "
        "closed channel') ~= nil}",
        [False, True],
    ),
    "H6 closing wakes blocked receivers": (
        "local ch, done = channel.new(), channel.new() "
        "coroutine.spawn(function() local v, ok = ch:receive() done:send(ok) end) "
        "coroutine.yield() ch:close() return done:receive()",
        False,
    ),
    "SC26 H7 a blocked sender raises at close and its value is lost": (
        "local ch, done = channel.new(), channel.new() "
        "coroutine.spawn(function() local ok, e = pcall(ch.send, ch, 1) done:send({ok, e}) end) "
        "coroutine.yield() ch:close() local r = done:receive() local v, ok = ch:receive() "
        "return {r[1], string.find(r[2], 'send on closed channel') ~= nil, v == nil, ok}",
        [False, True, True, False],
    ),
    "SC26 X2 the first ready case is taken": (
        "local a, b = channel.new(1), channel.new(1) a:send('a') b:send('b') "
        "local r = channel.select{b:case_receive(), a:case_receive()} "
        "return {r.channel == b, r.value, r.ok, r.default == nil}",
        [True, "b", True, True],
    ),
    "X1 X3 default in both spellings": (
        "local ch = channel.new() local a = channel.select({ch:case_receive()}, true) "
        "local b = channel.select{ch:case_receive(), default = true} "
        "return {a.default, a.ok, b.default, b.ok, a.channel == nil}",
        [True, True, True, True, True],
    ),
    "X3 exactly one case of a waiting select takes effect": (
        "local a, b, out = channel.new(), channel.new(), {} "
        "coroutine.spawn(function() a:send(1) end) coroutine.spawn(function() b:send(2) end) "
        "local r = channel.select{a:case_receive(), b:case_receive()} out[1] = r.value "
        "r = channel.select{a:case_receive(), b:case_receive()} out[2] = r.value return out",
        [1, 2],
    ),
    "SC26 X4 a closed channel is ready": (
        "local ch = channel.new() ch:close() local r = channel.select{ch:case_receive()} "
        "return {r.ok, r.value == nil, r.channel == ch}",
        [False, True, True],
    ),
    "X5 a send case": (
        "local ch = channel.new(1) local r = channel.select{ch:case_send('v')} "
        "return {r.channel == ch, r.value, r.ok, (ch:receive())}",
        [True, "v", True, "v"],
    ),
    "X5 a waiting send case": (
        "local ch = channel.new() local got = channel.new(1) "
        "coroutine.spawn(function() got:send(ch:receive()) end) "
        "local r = channel.select{ch:case_send('v')} return {r.value, r.ok, (got:receive())}",
        ["v", True, "v"],
    ),
    "SC26 X6 a closed send case raises when its turn comes": (
        "local ready, closed = channel.new(1), channel.new() ready:send(1) closed:close() "
        "local r = channel.select{ready:case_receive(), closed:case_send(1)} "
        "local ok, e = pcall(channel.select, {closed:case_send(1), ready:case_receive()}) "
        "return {r.value, ok, string.find(e, 'send on closed channel') ~= nil}",
        [1, False, True],
    ),
    "X6 X8 closing wakes a select that waits to send": (
        "local ch, done = channel.new(), channel.new() "
        "coroutine.spawn(function() done:send(pcall(channel.select, {ch:case_send(1)})) end) "
        "coroutine.yield() ch:close() return done:receive()",
        False,
    ),
    "X7 cases can be used again, a wrong entry raises before anything": (
        "local ch = channel.new(2) local case = ch:case_send(1) "
        "channel.select{case} channel.select{case} "
        "local ok = pcall(channel.select, {ch:case_receive(), 'nonsense'}) "
        "return {ok, ch:receive(), (ch:receive())}",
        [False, 1, 1],
    ),
    "X8 closing one channel wakes a blocked select": (
        "local a, b, done = channel.new(), channel.new(), channel.new() "
        "coroutine.spawn(function() local r = channel.select{a:case_receive(), b:case_receive()} "
        "done:send(r.channel == b and r.ok == false) end) "
        "coroutine.yield() b:close() return done:receive()",
        True,
    ),
    "a select leaves nothing behind in the other channels": (
        "local stop, work = channel.new(), channel.new() "
        "coroutine.spawn(function() for i = 1, 1000 do work:send(i) end end) "
        "for i = 1, 1000 do channel.select{stop:case_receive(), work:case_receive()} end "
        "coroutine.spawn(function() stop:send('fresh') end) return stop:receive()",
        "fresh",
    ),
    "SC26 X9 waiting messages are ready, with and without default": (
        "local inbox, events = process.inbox(), process.events() "
        "process.send(process.pid(), 't', 1) process.send(process.pid(), 't', 2) "
        "local a = channel.select{events:case_receive(), inbox:case_receive(), default = true} "
        "local b = channel.select{events:case_receive(), inbox:case_receive()} "
        "local c = channel.select{inbox:case_receive(), default = true} "
        "return {a.value:payload(), b.value:payload(), c.default}",
        [1, 2, True],
    ),
    "X7 a case serves several selects that wait at once": (
        "local ch, got = channel.new(), channel.new(2) local case = ch:case_receive() "
        "for i = 1, 2 do coroutine.spawn(function() "
        "got:send(channel.select{case, case}.value) end) end "
        "coroutine.yield() ch:send('a') ch:send('b') "
        "return {ch:case_receive() == case, (got:receive()), (got:receive())}",
        [True, "a", "b"],
    ),
    "G2 a new coroutine runs soon, when this one waits": (
        "local seen = {} coroutine.spawn(function() seen[#seen + 1] = 'spawned' end) "
        "seen[#seen + 1] = 'still me' coroutine.yield() return seen",
        ["still me", "spawned"],
    ),
    "G1 spawn returns the thread and drops results": (
        "local co = coroutine.spawn(function() return 1 end) return type(co)",
        "thread",
    ),
    "G4 yield in main only gives way": (
        "local out = {} coroutine.spawn(function() out[#out + 1] = 'spawned' end) "
        "local r = coroutine.yield('ignored') out[#out + 1] = 'main' return {out, r == nil}",
        [["spawned", "main"], True],
    ),
    "G4 generators keep their meaning": (
        "local g = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) "
        "local co = coroutine.create(function(...) return ... end) "
        "return {g(1), g(5), select('#', coroutine.resume(co, nil, nil)), coroutine.status(co)}",
        [2, 10, 3, "dead"],
    ),
    "G4 blocking works inside a generator": (
        "local ch = channel.new() coroutine.spawn(function() for i = 1, 3 do ch:send(i) end end) "
        "local g = coroutine.wrap(function() while true do "
        "coroutine.yield(ch:receive() * 10) end end) "
        "return {g(), g(), g()}",
        [10, 20, 30],
    ),
    "G4 a generator that waits cannot be resumed by another coroutine": (
        "local ch, out = channel.new(), {} "
        "local co = coroutine.create(function() return ch:receive() end) "
        "coroutine.spawn(function() out[1] = select(2, coroutine.resume(co)) end) "
        "coroutine.yield() local ok, e = coroutine.resume(co) out[2] = ok out[3] = "
        "coroutine.status(co) "
        "ch:send('v') coroutine.yield() return out",
        ["v", False, "normal"],
    ),
    "G3 only the scheduler resumes coroutines of a process": (
        "local main, out = coroutine.running(), {} local ch = channel.new() "
        "local co = coroutine.spawn(function() out[1] = coroutine.resume(main) "
        "out[2] = pcall(coroutine.close, main) ch:send(true) end) "
        "out[3] = coroutine.resume(co) ch:receive() return out",
        [False, False, False],
    ),
    "nobody sends on a mailbox channel": (
        "local i = process.inbox() "
        "return {pcall(i.send, i, 1) == true, pcall(i.case_send, i, 1) == false}",
        [False, True],
    ),
    "G5 pcall inside a coroutine protects": (
        "local done = channel.new() coroutine.spawn(function() "
        "done:send(select(2, pcall(error, 'x', 0))) end) return done:receive()",
        "x",
    ),
    "G6 blocking works inside pcall": (
        "local ch = channel.new() coroutine.spawn(function() ch:send(4) end) "
        "local ok, v = pcall(function() return ch:receive() end) return {ok, v}",
        [True, 4],
    ),
    "Q9 what pcall catches": (
        "local a = select(2, pcall(error, 's')) local b = select(2, pcall(error, errors.new('e'))) "
        "local ok, c = pcall(function() error('pos') end) "
        "return {a, b:message(), c, select(2, pcall(function() return nil + 1 end))}",
        [
            "s",
            "e",
            "app/test.lua:1: pos",
            "app/test.lua:1: attempt to perform arithmetic on a nil value",
        ],
    ),
    "E9 other coroutines are dropped when main returns": (
        "coroutine.spawn(function() local x <close> = setmetatable({}, {__close = function() "
        "error('never') end}) channel.new():receive() end) coroutine.yield() return 'done'",
        "done",
    ),
    "E2 require finds what is declared and nothing else": (
        "local t = require('time') local ok, e = pcall(require, 'json') return {t == time, ok, e}",
        [True, False, "module 'json' not found"],
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_promise(world: Any, name: str) -> None:
    """§9.1-9.3: the script returns what the rule says"""
    body, expected = SCRIPTS[name]
    assert await world.run(f"return function() {body} end", modules=("time",)) == expected


DEADLOCKS = {
    "receive": "channel.new():receive()",
    "send": "channel.new():send(1)",
    "empty select": "channel.select{}",
    "two coroutines": (
        "local ch = channel.new() coroutine.spawn(function() channel.new():receive() end) "
        "ch:receive()"
    ),
    "after the inbox was closed": ("local i = process.inbox() i:close() channel.new():receive()"),
}


@pytest.mark.parametrize("body", DEADLOCKS.values(), ids=DEADLOCKS.keys())
async def test_deadlock_ends_the_process(world: Any, body: str) -> None:
    """G7, E36"""
    with pytest.raises(ProcessError, match=r"^deadlock: all coroutines blocked$"):
        await world.run(f"return function() {body} end")


async def test_sc27_an_error_in_a_coroutine_ends_the_process_with_it(
    world: Any, autojump_clock: trio.testing.MockClock
) -> None:
    """SC27, E28, G5: though main waits for a message, and another coroutine for a timer."""
    source = """
      return function()
        local inbox = process.inbox()
        coroutine.spawn(function() time.sleep("1h") end)
        coroutine.spawn(function() process.listen("go"):receive() error("there") end)
        inbox:receive()
        return "main went on"
      end"""
    pid = await world.host.spawn(world.lua("app:t", source, modules=("time",)))
    watcher = await world.host.spawn(first_exit, pid)
    await trio.testing.wait_all_tasks_blocked()
    world.node.send(pid, "go")
    with trio.fail_after(1800):
        told = (await world.node.wait(watcher)).unwrap()
    assert (told.kind, told.message) == (ErrorKind.INTERNAL, "app/t.lua:5: there")


async def first_exit(ctx: ProcessContext, pid: str) -> ProcessError | None:
    """The error in the first EXIT it gets."""
    ctx.monitor(pid)
    return (await ctx.events.receive()).result.error


PRIVATE = """
  local a, b = channel.new(), channel.new()
  coroutine.spawn(function() a:send(1) end)
  coroutine.spawn(function() channel.select{b:case_receive()} end)
  channel.new():receive()"""


async def test_sc27_a_deadlock_ends_the_process(
    world: Any, autojump_clock: trio.testing.MockClock
) -> None:
    """SC27, G7, E36: all coroutines are blocked on private channels, each in its own way."""
    source = f"return function() process.listen('go'):close() {PRIVATE} end"
    pid = await world.host.spawn(world.lua("app:t", source))
    with trio.fail_after(1):
        error = (await world.node.wait(pid)).error
    told = (error.kind, error.message, error.retryable)
    assert told == (ErrorKind.INTERNAL, "deadlock: all coroutines blocked", None)


@pytest.mark.parametrize("opens", ["inbox()", "events()", "listen('t')"])
async def test_sc27_with_an_open_channel_it_is_idle(
    world: Any, autojump_clock: trio.testing.MockClock, opens: str
) -> None:
    """SC27, G7: the same with something that can still wake it waits, for ever if need be."""
    target = world.lua("app:t", f"return function() process.{opens} {PRIVATE} end")
    pid = await world.host.spawn(target)
    await trio.sleep(3600)
    assert world.node.processes[pid].doing() == "blocked"
    world.node.terminate(pid)
    assert str((await world.node.wait(pid)).error) == "process terminated"
