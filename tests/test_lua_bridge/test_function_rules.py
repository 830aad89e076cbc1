"""Rules of functions, one by one: conventions, Lua code, coroutines, futures, context, executors.

For callees of both languages where both can show them; pools, interceptors and what follows are in
test_function_limits.py. Rules: GC5, GC9-GC11, DE2-DE8, F7-F10, FU1-FU10, CX1-CX9.
"""

import random
from typing import Any

import pytest
import trio
import trio.testing
from bilingual import MODULES, Outcome, opened

from lua_bridge import LuaCallee, Script
from trio_actors import ProcessError, funcs
from trio_actors.functions import Call, Next, parse_binding, parse_definition
from trio_actors.security import Actor

Clock = trio.testing.MockClock
both = pytest.mark.parametrize("language", ["python", "lua"])


# -- conventions


@both
async def test_pauses_repeat_with_the_source_of_chance(
    language: str, autojump_clock: Clock
) -> None:
    """GC9: the same seed gives the same jitter, another seed another one."""

    async def times(seed: int) -> list[float]:
        async with opened() as bench:
            bench.functions.node.rng = random.Random(seed)
            bench.install(language, "moody")
            retry = {"max_attempts": 4, "initial_delay": 100, "jitter": 0.5}
            await bench.ask("python", "app:moody", "error", options={"retry": retry})
            return [at for at, _ in bench.marks]

    first = await times(1)
    assert first == await times(1)
    assert first != await times(2)


@both
async def test_what_the_framework_refuses_is_not_retryable(language: str) -> None:
    """GC10, F1, F3, F20: retryable is false unless a rule says otherwise."""
    async with opened() as bench:
        bench.install(language, "add")
        for id, options in (
            ("", {}),
            ("x", {}),
            ("app:gone", {}),
            ("app:add", {"timeout": "soon"}),
        ):
            outcome = await bench.ask(language, id, options=options)
            assert (outcome.kind in ("Invalid", "NotFound"), outcome.retryable) == (True, False)


@both
async def test_the_root_frame_has_no_actor_and_no_scope(language: str) -> None:
    """GC11: what is called from outside of every process sees nobody, and its caller is nobody."""
    callers: list[Any] = []

    async def looks(call: Call, next: Next) -> Any:
        callers.append((call.caller, call.actor, call.scope))
        return await next(call)

    async with opened() as bench:
        bench.install(language, "ctx")
        bench.functions.add_interceptor("looks", looks)
        found = await bench.functions.call("app:ctx")
        assert found.get("actor") is None
        assert callers == [(None, None, None)]


# -- Lua code


@pytest.mark.parametrize(
    ("source", "method", "value"),
    [
        ("return function() return 1 end", "anything", 1),
        ("return {one = function() return 1 end, two = function() return 2 end}", "two", 2),
        ("return {}", "main", "NotFound"),
        ("return 7", "main", "NotFound"),
        ("return {main = 7}", "main", "NotFound"),
    ],
)
async def test_what_a_chunk_may_return(source: str, method: str, value: Any) -> None:
    """DE2: a function is used whatever the method says; else the call fails, not the load."""
    async with opened() as bench:
        bench.lua("app:f", source, method)
        outcome = await bench.ask("python", "app:f")
        if isinstance(value, int):
            assert outcome == Outcome(value)
        else:
            assert outcome.kind == value
            assert outcome.text == f'method "{method}" not found in module'


async def test_modules_have_to_be_declared() -> None:
    """DE4, DE8: what is declared can be required, nothing else; some are always there."""
    async with opened() as bench:
        script = Script(
            "app:f",
            """return function()
              local ok, err = pcall(require, "funcs")
              local out = {time.now ~= nil, require("time") == time, ok, err}
              for _, always in ipairs{process, channel, errors} do out[#out + 1] = type(always) end
              return out
            end""",
            modules=("time",),
        )
        bench.functions.install("app:f", LuaCallee(bench.host, script, "main"))
        assert await bench.functions.call("app:f") == [
            True, True, False, "module 'funcs' not found", "table", "table", "table",
        ]  # fmt: skip
        declared = ", ".join(f"type(require('{name}'))" for name in MODULES)
        bench.lua("app:all", f"return function() return {{{declared}}} end")
        assert await bench.functions.call("app:all") == ["table"] * len(MODULES)


async def test_a_failed_require_fails_the_call_by_name() -> None:
    """DE4: the caller sees a failure whose text contains the name."""
    async with opened() as bench:
        bench.lua("app:f", 'local x = require("nowhere") return function() end')
        outcome = await bench.ask("lua", "app:f")
        assert (outcome.kind, outcome.text) == ("Internal", "failed to execute script")
        bench.lua("app:g", 'return function() require("nowhere") end')
        assert "module 'nowhere' not found" in (await bench.ask("lua", "app:g")).text


# -- coroutines of an invocation


async def test_the_end_of_the_main_coroutine_is_the_end(autojump_clock: Clock) -> None:
    """F7: others are dropped where they are."""
    async with opened() as bench:
        bench.lua(
            "app:f",
            """return function()
              coroutine.spawn(function()
                funcs.call("app:mark", "began")
                time.sleep("1s")
                funcs.call("app:mark", "too far")
              end)
              time.sleep("10ms")
              return "done"
            end""",
        )
        assert await bench.functions.call("app:f") == "done"
        await trio.sleep(5)
        assert bench.noted() == ["began"]


async def test_an_error_in_any_coroutine_fails_the_call(autojump_clock: Clock) -> None:
    """F8."""
    async with opened() as bench:
        bench.lua(
            "app:f",
            """return function()
              coroutine.spawn(function()
                time.sleep("10ms")
                error(errors.new{message = "inside", kind = "Conflict"})
              end)
              time.sleep("1h")
            end""",
        )
        outcome = await bench.ask("python", "app:f")
        assert (outcome.kind, outcome.text) == ("Conflict", "inside")
        assert trio.current_time() < 1


async def test_a_callee_that_nothing_can_wake_fails() -> None:
    """F9, G7: the deadlock is the error of the call; a mailbox counts as something to come."""
    async with opened() as bench:
        bench.lua("app:f", "return function() channel.new(0):receive() end")
        outcome = await bench.ask("python", "app:f")
        assert (outcome.kind, outcome.text) == ("Internal", "deadlock: all coroutines blocked")


@both
async def test_a_nested_call_blocks_its_coroutine_only(
    language: str, autojump_clock: Clock
) -> None:
    """F10, FU7: three calls of a second each take one second together."""
    async with opened() as bench:
        bench.install(language, "sleeper")
        bench.lua(
            "app:f",
            """return function()
              local done = channel.new(3)
              for i = 1, 3 do
                coroutine.spawn(function() done:send(funcs.call("app:sleeper", 1)) end)
              end
              local out = {}
              for i = 1, 3 do out[i] = done:receive() end
              return out
            end""",
        )
        start = trio.current_time()
        assert await bench.functions.call("app:f") == ["slept"] * 3
        assert trio.current_time() - start == pytest.approx(1, abs=0.05)


# -- futures


async def test_completion_shows_only_after_a_yield() -> None:
    """FU5: however long a script looks, a future is not complete before the script has waited."""
    async with opened() as bench:
        bench.install("python", "add")
        assert await bench.run(
            """local f = funcs.async("app:add", 1, 2)
            local seen = false
            for i = 1, 100000 do seen = seen or f:is_complete() end
            f:response():receive()
            return {seen, f:is_complete(), f:result()}"""
        ) == [False, True, 3]


async def test_a_future_does_not_cross() -> None:
    """FU10, M23: as an argument it is dropped, like every other object of a script."""
    async with opened() as bench:
        bench.lua("app:f", "return function(t) return {type(t), t.future == nil} end")
        bench.install("python", "add")
        source = 'return funcs.call("app:f", {future = funcs.async("app:add", 1, 2)})'
        assert await bench.run(source) == ["table", True]


# -- context


@both
async def test_what_is_inherited_and_what_is_not(language: str) -> None:
    """CX1, CX2, CX6: values and actor go down; the id, the PID and the deadline are its own."""
    async with opened() as bench:
        bench.install(language, "ctx", "pid", "outer")
        executor = funcs.new().with_context({"a": 1}).with_actor(Actor("ann"))
        found = await executor.call("app:outer", "app:ctx")
        assert found == {"a": 1, "actor": "ann", "id": "app:ctx"}
        own = await bench.functions.call("app:pid")
        inner = await bench.functions.call("app:outer", "app:pid")
        assert own.startswith("{app:pid|")
        assert inner.startswith("{app:pid|")
        assert own != inner


async def test_ctx_in_lua() -> None:
    """The table of section 5: empty, absent, not a text; `all` gives a fresh table each time."""
    async with opened() as bench:
        assert await bench.run(
            """local out = {}
            for _, key in ipairs{"", "gone"} do
              local value, err = ctx.get(key)
              out[#out + 1] = {value == nil, err:kind(), tostring(err)}
            end
            out[#out + 1] = pcall(ctx.get, {})
            local all = ctx.all()
            all.a = 2
            out[#out + 1] = ctx.get("a")
            return out""",
            context={"a": 1},
        ) == [
            [True, "Invalid", "empty key"],
            [True, "NotFound", "key not found: gone"],
            False,
            1,
        ]


# -- what a chunk may do, what workers share


async def test_a_chunk_may_not_wait() -> None:
    """DE3: it runs at a worker's first call, and that call fails."""
    async with opened() as bench:
        bench.lua("app:f", 'time.sleep("1s") return function() end')
        outcome = await bench.ask("python", "app:f")
        assert (outcome.kind, outcome.text) == ("Internal", "failed to execute script")


async def test_a_worker_shares_libraries_and_modules_are_read_only() -> None:
    """DE7: a library's table lives as long as the worker; a module's cannot be changed."""
    async with opened() as bench:
        library = Script("app:lib", "return {n = 0}")
        script = Script(
            "app:f",
            """local lib = require("lib")
            return function()
              lib.n = lib.n + 1
              local ok = pcall(function() time.sleep = nil end)
              return {lib.n, ok}
            end""",
            modules=("time",),
            imports={"lib": library},
        )
        callee = LuaCallee(bench.host, script, "main")
        bench.functions.install("app:f", callee, pool={"workers": 1})
        assert [await bench.functions.call("app:f") for _ in range(3)] == [
            [1, False],
            [2, False],
            [3, False],
        ]


# -- the table of section 4


LUA_FUTURE = """
local function look(f)
  local value, err = f:result()
  local e, has = f:error()
  return {f:is_complete(), f:is_canceled(), value or (err and err:kind()) or "-",
    e and e:kind() or "-", has}
end
local pending = funcs.async("app:sleeper", 60)
local good, bad = funcs.async("app:add", 3, 4), funcs.async("app:fail", "error")
good:response():receive()
bad:response():receive()
local out = {look(pending), look(good), look(bad)}
for _, f in ipairs{pending, good, bad} do
  local ok, err = f:cancel()
  out[#out + 1] = {ok, err == nil}
  out[#out + 1] = look(f)
end
return out"""


async def python_future() -> list[Any]:
    """The same as LUA_FUTURE."""

    def look(future: Any) -> list[Any]:
        try:
            value = future.result()
        except ProcessError as error:
            value = error.kind.value
        error = future.error()
        shown = "-" if error is None else error.kind.value
        value = "-" if value is None else value
        return [future.is_complete(), future.is_canceled(), value, shown, error is not None]

    pending = funcs.async_("app:sleeper", 60)
    good, bad = funcs.async_("app:add", 3, 4), funcs.async_("app:fail", "error")
    await good.response().receive()
    await bad.response().receive()
    out = [look(pending), look(good), look(bad)]
    for future in (pending, good, bad):
        future.cancel()
        out += [[True, True], look(future)]
    return out


@pytest.mark.parametrize("caller", ["python", "lua"])
@both
async def test_the_table_of_futures(caller: str, language: str, autojump_clock: Clock) -> None:
    """FU1-FU4, FU8: pending, success, failure, and each of them after `cancel`."""
    async with opened() as bench:
        bench.install(language, "sleeper", "add", "fail")
        found = await (python_future() if caller == "python" else bench.run(LUA_FUTURE))
    assert found == [
        [False, False, "-", "-", False],
        [True, False, 7, "-", False],
        [True, False, "Conflict", "Conflict", True],
        [True, True],
        [False, True, "Canceled", "-", False],
        [True, True],
        [True, True, "Canceled", "-", False],
        [True, True],
        [True, True, "Canceled", "Conflict", True],
    ]


# -- executors


async def test_executors_of_lua_never_change() -> None:
    """3.1: each step gives a new one; context is merged, options are replaced, all are reusable."""
    seen: list[Any] = []

    async def looks(call: Call, next: Next) -> Any:
        seen.append((dict(call.options), dict(call.context)))
        return await next(call)

    async with opened() as bench:
        bench.install("lua", "add")
        bench.functions.add_interceptor("looks", looks, match="app:add")
        assert await bench.run(
            """local base = funcs.new():with_context{a = 1, b = 1, [1] = 2}
            local more = base:with_context{b = 2}:with_options{timeout = 1000, mine = "x"}
            local last = more:with_options{other = true}
            local out = {}
            for i, exec in ipairs{base, more, last, base} do out[i] = exec:call("app:add", i, 1) end
            local f = last:async("app:add", 5, 1)
            out[5] = f:response():receive()
            return out"""
        ) == [2, 3, 4, 5, 6]
        assert seen == [
            ({}, {"a": 1, "b": 1}),
            ({"timeout": 1000, "mine": "x"}, {"a": 1, "b": 2}),
            ({"other": True}, {"a": 1, "b": 2}),
            ({}, {"a": 1, "b": 1}),
            ({"other": True}, {"a": 1, "b": 2}),
        ]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("funcs.new():with_context{a = {b = function() end}}", "context value a.b is a function"),
        ("funcs.new():with_context{f = funcs.new()}", "context value f is a Executor"),
        ('contract.get("app:c"):with_context{a = {b = {function() end}}}', "context value a.b.1"),
        ('contract.get("app:c"):open("app:b", {f = print})', "context value f is a function"),
        ('contract.open("app:b", {f = print})', "context value f is a function"),
        ('funcs.async("app:add", function() end)', "cannot pass a function"),
        ('funcs.async("app:add", {x = {y = function() end}})', "cannot pass a function"),
    ],
)
async def test_what_may_not_cross_is_a_start_error(call: str, text: str) -> None:
    """CX9, F4, GC5, M24: INVALID, context values by their path, and nothing runs."""
    async with opened() as bench:
        bench.install("python", "add")
        bench.functions.contracts.define(parse_definition("app:c", {"methods": [{"name": "add"}]}))
        part = {"contract": "app:c", "methods": {"add": "app:add"}}
        bench.functions.contracts.bind(parse_binding("app:b", {"contracts": [part]}))
        value, kind, message = await bench.run(
            f"local v, err = {call} return {{v == nil, err:kind(), err:message()}}"
        )
        assert (value, kind) == (True, "Invalid")
        assert text in message
        assert bench.functions.statistics("app:add").completed == 0


@both
async def test_the_result_of_a_callee_that_may_not_cross(language: str) -> None:
    """GC5: INVALID for the call, in both directions."""
    async with opened() as bench:
        bench.lua("app:lua", "return function() return {x = function() end} end")
        bench.py("app:py", lambda: {"x": object()})
        id = "app:lua" if language == "lua" else "app:py"
        outcome = await bench.ask("lua", id)
        assert outcome.kind == "Invalid"


async def test_trailing_nils_are_kept() -> None:
    """GC5: a callee sees how many arguments there were."""
    async with opened() as bench:
        bench.lua("app:count", "return function(...) return select('#', ...) end")
        assert await bench.functions.call("app:count", 1, None, None) == 3
        assert await bench.run('return funcs.call("app:count", nil, 1, nil)') == 3
        bench.py("app:pycount", lambda *args: len(args))
        assert await bench.run('return funcs.call("app:pycount", 1, nil, nil)') == 3
