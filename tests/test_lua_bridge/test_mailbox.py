"""Mailbox, topics, spawn builder, options, upgrade of Lua processes (spec 2, 3, 4.2, 6)."""

from typing import Any

import pytest
import trio

from lua_bridge import Limits, LuaTarget, Script
from trio_actors import Bounded, ErrorKind, ProcessContext, ProcessError, ProcessInvalid

SCRIPTS: dict[str, tuple[str, Any]] = {
    "M2 M3 M4 refusals of send": (
        "local out = {} local function put(ok, e) out[#out + 1] = ok or e:message() end "
        "put(process.send('x')) put(process.send(me, '@t')) put(process.send('nobody', 't')) "
        "put(process.send('{no:host|0x1}', 't')) put(process.send(me, '')) return out",
        [
            "send requires at least destination and topic arguments",
            "cannot send to @ topics",
            "could not resolve 'nobody' as PID or registered name",
            "host not found",
            True,
        ],
    ),
    "M9 wrong types raise, numbers are strings": (
        "local ok, e = pcall(process.send, {}, 't') local ok2 = pcall(process.send, me, {}) "
        "local ch = process.listen(7) process.send(me, 7, 'v') return {ok, ok2, (ch:receive())}",
        [False, False, "v"],
    ),
    "M16 name before payload": (
        "local _, a = process.send('nobody', 't', print) local _, b = "
        "process.send(me, 't', {x = print}) "
        "return {a:kind(), b:kind(), b:message(), b:details().path}",
        ["NotFound", "Invalid", "cannot pass a function to another process", ".x"],
    ),
    "M21 cycles and shared references stay": (
        "local t = {} t.self = t t.a = {1} t.b = t.a process.send(me, 't', t) t.a[1] = 2 "
        "local g = process.inbox():receive():payload() "
        "return {g.self == g, g.a == g.b, g.a[1], g ~= t, getmetatable(g) == nil}",
        [True, True, 1, True, True],
    ),
    "M22 M23 errors keep their fields, objects become nil": (
        "local e = errors.new{message = 'm', kind = errors.TIMEOUT, retryable = "
        "true, details = {a = 1}} "
        "process.send(me, 't', {e = e, ch = channel.new(), n = 1}) "
        "local g = process.inbox():receive():payload() "
        "return {g.e:kind(), g.e:retryable(), g.e:details().a, g.ch == nil, g.n, g.e ~= e}",
        ["Timeout", True, 1, True, 1, True],
    ),
    "M33 nil among several values is a hole": (
        "process.send(me, 't', 1, nil, 3) local p = process.inbox():receive():payload() "
        "return {p[1], p[2] == nil, p[3]}",
        [1, True, 3],
    ),
    "L1 L9 topics that begin with @ are reserved": (
        "local a, e = process.listen('@inbox') local b, f = process.send(me, '@events', 1) "
        "return {e:kind(), e:message(), f:kind(), f:message(), (process.listen('inbox')) ~= nil}",
        ["Invalid", "cannot listen to @ topics", "Invalid", "cannot send to @ topics", True],
    ),
    "L2 L4 topics, inbox and what waits": (
        "process.send(me, 'a', 1) process.send(me, 'b', 2) process.send(me, 'a', 3) "
        "local a = process.listen('a') local i = process.inbox() process.send(me, 'c', 4) "
        "local x, y = a:receive(), a:receive() local m, n = i:receive(), i:receive() "
        "return {x, y, m:topic(), m:payload(), n:topic(), m:from() == me}",
        [1, 3, "b", 2, "c", True],
    ),
    "L6 the same channel object": (
        "local r = channel.select({process.inbox():case_receive()}, true) "
        "process.send(me, 't') local s = channel.select{process.inbox():case_receive()} "
        "return {process.inbox() == process.inbox(), process.events() == process.events(), "
        "process.listen('x') == process.listen('x'), s.channel == process.inbox(), r.default}",
        [True, True, True, True, True],
    ),
    "L7 L8 message option": (
        "local ch = process.listen('t') process.send(me, 't', 'v') process.send(me, 't', 'w') "
        "local raw = ch:receive() process.listen('t', {message = true}) local m = ch:receive() "
        "process.listen('t') process.send(me, 't', 'z') "
        "return {raw, m:payload(), m:topic(), ch:receive():payload(), tostring(m):sub(1, 16)}",
        ["v", "w", "t", "z", "process.Message{"],
    ),
    "L9 L11 refusals of listen and unlisten": (
        "local out = {} local function put(ok, e) out[#out + 1] = e:message() end "
        "put(process.listen('@x')) put(process.listen('')) put(process.listen()) "
        "put(process.unlisten(channel.new())) local ch = process.listen('t') "
        "out[#out + 1] = process.unlisten(ch) put(process.unlisten(ch)) "
        "out[#out + 1] = pcall(process.listen, {}) out[#out + 1] = pcall(process.unlisten, 5) "
        "return out",
        [
            "cannot listen to @ topics",
            "topic cannot be empty",
            "listen requires a topic argument",
            "channel not found",
            True,
            "channel not found",
            False,
            False,
        ],
    ),
    "L10 L12 L13 after unlisten": (
        "local ch = process.listen('t') process.send(me, 't', 1) ch:close() "
        "process.send(me, 't', 2) "
        "local v, ok = ch:receive() local w, ok2 = ch:receive() local again = process.listen('t') "
        "return {v, ok, w == nil, ok2, again ~= ch, (again:receive())}",
        [1, True, True, False, True, 2],
    ),
    "L17 inbox and events are ordinary topics": (
        "local ch = process.listen('inbox') process.send(me, 'inbox', 1) "
        "process.send(me, 'events', 2) return {ch:receive(), process.inbox():receive():payload()}",
        [1, 2],
    ),
    "W2 C4 missing and wrong arguments": (
        "local out = {} local function put(v, e) out[#out + 1] = e:message() end "
        "put(process.spawn('a:b')) put(process.spawn_linked()) put(process.call('a:b')) "
        "put(process.call('', 'h')) put(process.call('ab', 'h')) put(process.call('a:b', '')) "
        "put(process.spawn('a:b', 'no:host')) put(process.spawn('a:b', 'app:h')) return out",
        [
            "spawn requires at least id and host arguments",
            "spawn_linked requires at least id and host arguments",
            "call requires id and host arguments",
            "process ID required",
            "invalid process ID format (namespace:name required)",
            "host ID required",
            "host not found",
            "factory not found",
        ],
    ),
    "K2 SC12 bad deadlines": (
        "local out = {} for _, d in ipairs{'bogus', {}, -1, 1.5, true} do "
        "local ok, e = process.cancel(me, d) out[#out + 1] = e:kind() end "
        "local _, e = process.cancel(me, 'bogus') out[#out + 1] = e:message() "
        "out[#out + 1] = channel.select({process.events():case_receive()}, "
        "true).default return out",
        ["Invalid"] * 5 + ["invalid duration format: bogus", True],
    ),
    "O1-O4 options": (
        "local out = {} local function put(ok, e) out[#out + 1] = e and {ok, "
        "e:message()} or ok end "
        "put(process.set_options(5)) put(process.set_options{nope = 1, trap_links = true}) "
        "put(process.get_options().trap_links) put(process.set_options{trap_links = 1}) "
        "put(process.set_options{trap_links = true}) put(process.get_options().trap_links) "
        "local t = process.get_options() t.trap_links = false "
        "put(process.get_options().trap_links) "
        "return out",
        [
            [False, "options parameter must be a table"],
            [False, "option nope is not supported"],
            False,
            [False, "trap_links must be a boolean"],
            True,
            True,
            True,
        ],
    ),
    "B2 B3 builders are immutable and raise": (
        "local b = process.with_context{} local n = b:with_name('n') "
        "local out = {b ~= n, pcall(b.with_name, b, '') == false} "
        "local ok, e = pcall(b.with_message, b, '@x') out[3] = e:kind() "
        "ok, e = pcall(b.with_message, b, 'x', print) out[4] = e:message() "
        "ok, e = pcall(b.with_context, b, {f = print}) out[5] = e:kind() "
        "out[6] = pcall(b.with_context, b, 5) out[7] = pcall(b.with_actor, b, 5) return out",
        [
            True,
            True,
            "Invalid",
            "cannot pass a function to another process",
            "Invalid",
            False,
            False,
        ],
    ),
    "B4 W2 W3 the builder's spawns fail as the module's": (
        "local b, out = process.with_context{}, {} "
        "local function put(p, e) out[#out + 1] = tostring(p) .. ' ' .. e:message() end "
        "for _, f in ipairs{'spawn', 'spawn_monitored', 'spawn_linked', "
        "'spawn_linked_monitored'} do "
        "put(b[f](b, 'no:such', 'app:h')) put(process[f]('no:such', 'app:h')) "
        "put(b[f](b, 'app:test', 'no:host')) put(process[f]('app:test', 'no:host')) "
        "put(b[f](b, 'app:test')) end return out",
        [
            text
            for f in ("spawn", "spawn_monitored", "spawn_linked", "spawn_linked_monitored")
            for text in (
                "nil factory not found",
                "nil factory not found",
                "nil host not found",
                "nil host not found",
                f"nil {f} requires at least id and host arguments",
            )
        ],
    ),
    "P5 identity": (
        "return {process.pid() == me, process.id(), process.event.EXIT, process.event.CANCEL, "
        "process.event.LINK_DOWN}",
        [True, "app:test", "pid.exit", "pid.cancel", "pid.link.down"],
    ),
    "N5 K10 monitoring and linking oneself": (
        "return {process.monitor(me), process.link(me), process.unlink(me)}",
        [True, True, True],
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_promise(world: Any, name: str) -> None:
    """§2-§7: the script returns what the rule says"""
    body, expected = SCRIPTS[name]
    source = f"return function() local me = process.pid() {body} end"
    assert await world.run(source) == expected


async def test_options_of_a_builder_leave_it_as_it_was(world: Any) -> None:
    """B2, B5, B7, P9: only what they return has the name and the message, on the host named"""
    world.lua(
        "app:child",
        "return function() local r = channel.select{process.inbox():case_receive(), default = true}"
        " return {r.default or r.value:topic(), process.registry.lookup('n') == process.pid(), "
        "process.pid():match('^{app:h|') ~= nil} end",
    )
    source = """
      return function()
        local b = process.with_context{}
        local named = b:with_name("n")
        local full = named:with_message("x", 1)
        local out = {}
        for i, builder in ipairs{b, named, full, b} do
          builder:spawn_monitored("app:child", "app:h")
          out[i] = process.events():receive().result.value
        end
        return out
      end"""
    assert await world.run(source) == [
        [True, False, True],
        [True, True, True],
        ["x", True, True],
        [True, False, True],
    ]


async def test_context_values_reach_the_children(world: Any) -> None:
    """SC21, B1, B2, B9, W5"""
    world.lua("app:child", "return function() return ctx.all() end", modules=("ctx",))
    source = """
      return function()
        local b = process.with_context{a = 1, keep = {1, {x = true}}}
        local b2 = b:with_context{a = 2, b = "two", [5] = "ignored"}
        local ev, out = process.events(), {}
        for i, builder in ipairs{b, b2, b} do
          builder:spawn_monitored("app:child", "app:h")
          out[i] = ev:receive().result.value
        end
        return out
      end"""
    first = {"a": 1, "keep": [1, {"x": True}]}
    expected = [first, {"a": 2, "b": "two", "keep": [1, {"x": True}]}, first]
    assert await world.run(source) == expected


UPGRADE = """
return function(n)
  if n >= 3 then
    local mine = process.registry.lookup("up") == process.pid()
    local out = {n, process.get_options().trap_links, mine}
    local t = process.listen("topic")
    out[4] = t:receive()
    local i = process.inbox()
    out[5] = i:receive():payload()
    out[6] = i:receive():payload()
    out[7] = process.events():receive().kind
    return out
  end
  if n == 0 then
    process.registry.register("up")
    process.set_options{trap_links = true}
    local me = process.pid()
    process.inbox() process.listen("topic") process.events()
    process.send(me, "x", "first")
    process.send(me, "topic", "t")
    process.cancel(me)
    process.send(me, "y", {second = true})
  end
  process.upgrade(nil, n + 1)
  error("never")
end"""


async def test_upgrade_keeps_pid_names_and_unread_messages(world: Any) -> None:
    """SC23, U1-U6"""
    value = await world.run(UPGRADE, 0)
    assert value == [3, False, True, "t", "first", {"second": True}, "pid.cancel"]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("'no:such'", ErrorKind.NOT_FOUND, "upgrade failed: factory not found"),
        (
            "'app:broken'",
            ErrorKind.INTERNAL,
            "upgrade failed: app/broken.lua:1: early",
        ),
        (
            "nil, print",
            ErrorKind.INVALID,
            "upgrade failed: cannot pass a function to another process",
        ),
    ],
)
async def test_failed_upgrade_ends_the_process(
    world: Any, body: str, kind: ErrorKind, message: str
) -> None:
    """U5, E35"""
    world.lua("app:broken", "error('early')")
    with pytest.raises(ProcessError) as caught:
        await world.run(f"return function() pcall(process.upgrade, {body}) return 'no' end")
    assert (caught.value.kind, caught.value.message) == (kind, message)


async def test_upgrade_between_the_languages(world: Any) -> None:
    """U1, U3: a Python process becomes a Lua process and back, with its messages"""

    async def old(ctx: ProcessContext) -> None:
        ctx.send(ctx.pid, "x", {"n": 1})
        ctx.send(ctx.pid, "x", {"n": 2})
        await ctx.upgrade("app:lua", "state")

    async def last(ctx: ProcessContext, first: Any) -> Any:
        return [first, (await ctx.inbox.receive()).payload]

    world.python("app:last", last)
    world.lua(
        "app:lua",
        "return function(s) local m = process.inbox():receive() "
        "process.upgrade('app:last', {s, m:payload()}) end",
    )
    assert await world.node.call(old, host=world.host) == [["state", {"n": 1}], {"n": 2}]


async def test_terminating_oneself_does_not_return(world: Any) -> None:
    """T4, T6"""
    ran: list[Any] = []

    async def witness(ctx: ProcessContext) -> None:
        async for message in ctx.inbox:
            ran.append(message.payload)

    pid = await world.host.spawn(witness)
    with pytest.raises(ProcessError, match=r"^process terminated$"):
        await world.run(
            "return function(w) process.send(w, 'x', 1) "
            "pcall(process.terminate, process.pid()) process.send(w, 'x', 2) end",
            pid,
        )
    await trio.testing.wait_all_tasks_blocked()
    assert ran == [1]


async def test_no_line_runs_after_terminate(world: Any) -> None:
    """T6: not even in the same turn of the runner"""
    world.lua(
        "app:child",
        "return function(p) while true do coroutine.yield() process.send(p, 'alive') end end",
    )
    source = """
      return function()
        local pid = process.spawn("app:child", "app:h", process.pid())
        local alive = process.listen("alive")
        alive:receive()
        process.terminate(pid)
        while channel.select({alive:case_receive()}, true).channel do end
        for i = 1, 1000 do coroutine.yield() end
        return channel.select({alive:case_receive()}, true).default
      end"""
    assert await world.run(source) is True


async def test_libraries_are_evaluated_anew(world: Any) -> None:
    """E4, DE5: nothing is shared, imports of a library are its own"""
    inner = Script("app:inner", "return {name = 'inner'}")
    library = Script(
        "app:lib",
        "local n = 0 return {add = function() n = n + 1 return n end, inner = deep.name, "
        "no = pcall(require, 'lib')}",
        imports={"deep": inner},
    )
    source = (
        "return function() "
        "return {lib.add(), require('lib').add(), lib.inner, deep == nil, lib.no} end"
    )
    for _ in range(2):
        value = await world.run(source, imports={"lib": library})
        assert value == [1, 2, "inner", True, False]


async def test_messages_across_states_keep_cycles(world: Any) -> None:
    """M21 between two Lua states"""
    from lua_bridge import Limits

    script = Script(
        "app:far",
        "return function(p) local t = process.inbox():receive():payload() "
        "process.send(p, 'x', t.self == t and t.a == t.b and t[t.a] == 'key') end",
    )
    world.scripts.targets["app:far"] = LuaTarget(script, limits=Limits(isolated=True))
    source = """
      return function()
        local pid = process.spawn("app:far", "app:h", process.pid())
        local t = {a = {}} t.self = t t.b = t.a t[t.a] = "key"
        process.send(pid, "x", t)
        return process.inbox():receive():payload()
      end"""
    assert await world.run(source) is True


async def test_a_cycle_is_refused_where_python_would_walk_it(world: Any) -> None:
    """M21, M27: as argument of a function of a module, with its path"""
    source = (
        "return function() local t = {deep = {}} t.deep.up = t "
        "local ok, err = funcs.call('app:f', t) return {err:kind(), tostring(err)} end"
    )
    assert await world.run(source, modules=("funcs",)) == [
        "Invalid",
        "cyclic value cannot cross to Python at [3].deep.up",
    ]


@pytest.mark.parametrize("details", ["{d = d}", "{d = {[d] = 1}}", "{f = {print}}"])
async def test_an_error_whose_details_cannot_cross_ends_the_process(
    world: Any, details: str
) -> None:
    """E27, Q11: with its message and kind, and without details"""
    source = (
        "return function() local d = {} d.up = d "
        f"error(errors.new{{message = 'x', kind = errors.CONFLICT, details = {details}}}) end"
    )
    with trio.fail_after(5):
        error = (await world.exit(world.lua("app:t", source))).error
    assert (error.kind, error.message, error.details) == (ErrorKind.CONFLICT, "x", None)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"a": [1, object]}, "cannot pass a builtins.type to Lua at .a[1]"),
        ({"f": print}, "cannot pass a builtins.builtin_function_or_method to Lua at .f"),
        (2**63, "integer outside of 64 bits cannot cross to Lua"),
        ({float("nan"): 1}, "cannot use NaN as a table key in Lua at [nan]"),
        ({(1, 2): 1}, "cannot use a builtins.tuple as a table key in Lua at [(1, 2)]"),
        ("\ud800", "text with lone surrogates cannot cross to Lua"),
    ],
)
async def test_python_values_that_cannot_cross(world: Any, payload: Any, message: str) -> None:
    """M27: refused with type and path, and nothing is delivered"""
    pid = await world.host.spawn(
        world.lua("app:t", "return function() process.inbox():receive() end")
    )
    with pytest.raises(ProcessError) as caught:
        world.node.send(pid, "x", payload)
    assert (caught.value.kind, caught.value.message) == (ErrorKind.INVALID, message)
    assert world.node.statistics().hosts[0].unread == 0


async def test_unlisten_without_a_channel(world: Any) -> None:
    """Q10, L11: a missing argument is nil, INVALID; what is no channel raises"""
    source = (
        "return function() local value, err = process.unlisten() "
        "return {value == nil, err:kind(), tostring(err), pcall(process.unlisten, 5)} end"
    )
    told = await world.run(source)
    assert told[:3] == [True, "Invalid", "unlisten requires a channel argument"]
    assert told[3] is False


CYCLE = "return function() local t = {n = 1} t.self = t t[t] = 'key' return t end"
SAME = "t.self == t and t[t] == 'key' and t.n"


async def test_a_cyclic_result_reaches_scripts_whole(world: Any) -> None:
    """E10, M21: by process.call and in the EXIT event, also between two Lua states"""
    from lua_bridge import Limits

    for limits in (Limits(), Limits(isolated=True)):
        world.lua("app:cycle", CYCLE, limits=limits)
        source = f"""
          return function()
            local t = process.call("app:cycle", "app:h")
            local called = {SAME}
            process.spawn_monitored("app:cycle", "app:h")
            t = process.events():receive().result.value
            return {{called, {SAME}}}
          end"""
        assert await world.run(source) == [1, 1]


async def test_a_table_as_a_key_is_refused_in_python(world: Any) -> None:
    """M27: for its key; the end is normal, but its value cannot become a Python object"""
    target = world.lua("app:cycle", CYCLE)
    with pytest.raises(ProcessInvalid, match=r"^a table with keys that are tables "):
        await world.node.call(target, host=world.host)
    end = await world.exit(target)
    assert end.error is None
    with pytest.raises(ProcessInvalid):
        end.value.value()


async def test_an_upgrade_keeps_cyclic_messages(world: Any) -> None:
    """U3, M21: what is unread stays as it is"""
    world.lua(
        "app:new",
        f"return function() local t = process.inbox():receive():payload() return {SAME} end",
    )
    source = """
      return function()
        local t = {n = 1} t.self = t t[t] = 'key'
        process.send(process.pid(), "x", t)
        process.upgrade("app:new")
      end"""
    assert await world.run(source) == 1


async def test_shared_references_arrive_as_they_were(world: Any) -> None:
    """Z9: the same Python list twice is no other list the second time"""
    inner = [[1], {"n": "A"}]
    value = {"first": inner, "second": inner, "both": [inner, inner]}
    assert await world.run("return function(v) return v end", value) == value


LAST_WORDS = {
    "return": "return 1",
    "error": "error('boom')",
    "endless loop": "while true do end",
    "memory": "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
    "terminate oneself": "process.terminate(process.pid())",
    "cancelled deadline": "time.sleep('1h')",
}


@pytest.mark.parametrize("end", LAST_WORDS.values(), ids=LAST_WORDS.keys())
async def test_what_was_sent_before_an_end_arrives_in_order(world: Any, end: str) -> None:
    """M12, M14: messages of the last step are in their mailboxes, however that step ends"""
    collect = (
        "return function(n) local inbox, got = process.inbox(), {} "
        "for i = 1, n do local m = inbox:receive() got[i] = m:topic() .. m:payload() end "
        "return got end"
    )
    limits = Limits(instructions=2_000_000, memory=1 << 24)
    collector = world.lua("app:collect", collect, limits=limits)
    one = await world.host.spawn(collector, 4)
    two = await world.host.spawn(collector, 2)
    source = (
        "return function(one, two) for i = 1, 2 do process.send(one, 'a', i) "
        f"process.send(two, 'b', i) process.send(one, 'c', i) end {end} end"
    )
    sender = world.lua("app:sender", source, modules=("time",), limits=limits)
    with trio.fail_after(60):
        await world.host.spawn(sender, one, two)
        first, second = await world.node.wait(one), await world.node.wait(two)
    assert first.value == ["a1", "c1", "a2", "c2"]
    assert second.value == ["b1", "b2"]


async def test_what_was_sent_to_oneself_is_there_at_once(world: Any) -> None:
    """M11, M12: also among messages to others"""
    source = (
        "return function(other) local inbox, got = process.inbox(), {} "
        "for i = 1, 3 do process.send(other, 't', i) process.send(process.pid(), 't', i) "
        "local r = channel.select{inbox:case_receive(), default = true} "
        "got[i] = r.value:payload() end return got end"
    )
    idle = await world.host.spawn(
        world.lua("app:idle", "return function() process.inbox():receive() end")
    )
    assert await world.run(source, idle) == [1, 2, 3]


async def idle(ctx: ProcessContext) -> None:
    """Reads nothing."""
    await trio.sleep_forever()


FOUR = """
  return function(pid)
    local out = {}
    for i = 1, 4 do
      local ok, err = process.send(pid, "t", i)
      out[i] = ok or err:kind() .. ": " .. err:message()
    end
    return out
  end"""
FULL = "Unavailable: mailbox is full (limit=2)"


@pytest.mark.parametrize(
    ("overflow", "results", "dropped"),
    [
        ("reject", [True, True, FULL, FULL], []),
        ("block", [True, True, FULL, FULL], []),
        ("drop_new", [True] * 4, [3, 4]),
        ("drop_old", [True] * 4, [1, 2]),
    ],
)
async def test_a_script_learns_that_a_mailbox_is_full(
    world: Any, overflow: Any, results: list[Any], dropped: list[int]
) -> None:
    """M16: each send is looked at, not the first one only, and harms nobody"""
    pid = await world.host.spawn(idle, mailbox=Bounded(2, overflow=overflow))
    assert await world.run(FOUR, pid) == results
    letters = world.node.dead_letters.recent
    assert [letter.message.payload for letter in letters] == dropped
    world.node.terminate(pid)


async def test_messages_of_scripts_have_an_age(world: Any) -> None:
    """PH8: also those after the first, which take the short way"""
    pid = await world.host.spawn(idle)
    await world.run(FOUR, pid)
    messages = world.node.processes[pid].mailbox.drain()
    assert [message.payload for message in messages] == [1, 2, 3, 4]
    assert all(hasattr(message, "at") for message in messages)
    world.node.terminate(pid)


WAITS = "return function() return process.inbox():receive():payload() end"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"messages": [("t", object())]}, "cannot pass a builtins.object to Lua"),
        ({"mailbox": Bounded(1)}, "the mailbox of app:waits cannot be limited"),
    ],
)
async def test_a_refused_spawn_of_a_script_makes_nothing(
    world: Any, options: Any, text: str
) -> None:
    """B6, M27: no process, no name, no place on the host; the next one succeeds"""
    target = world.lua("app:waits", WAITS)
    with pytest.raises(ProcessInvalid, match=f"^{text}$"):
        await world.host.spawn(target, name="it", **options)
    assert (world.host.alive, list(world.node.processes)) == (0, [])
    pid = await world.host.spawn(target, name="it", messages=[("t", 7)])
    assert (await world.node.wait(pid)).value == 7


async def test_an_upgrade_to_lua_loses_no_more_than_what_cannot_cross(world: Any) -> None:
    """U3, M27: what has to stay behind is a dead letter"""
    target = world.lua("app:waits", WAITS)

    async def old(ctx: ProcessContext) -> None:
        ctx.send(ctx.pid, "t", object())
        ctx.send(ctx.pid, "t", 7)
        await ctx.upgrade(target)

    pid = await world.host.spawn(old)
    assert (await world.node.wait(pid)).value == 7
    [letter] = world.node.dead_letters.recent
    assert (letter.to, letter.reason) == (pid, "cannot pass a builtins.object to Lua")


async def test_what_cannot_cross_is_given_back(world: Any) -> None:
    """M27: the message is in the error, each time"""
    pid = await world.host.spawn(world.lua("app:waits", WAITS))
    for _ in range(2):
        with pytest.raises(ProcessInvalid) as caught:
            world.node.send(pid, "t", object())
        assert caught.value.undelivered is not None
        assert caught.value.undelivered.topic == "t"
    world.node.terminate(pid)
