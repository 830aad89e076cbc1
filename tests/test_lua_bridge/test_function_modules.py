"""Functions in both languages: callers and callees, futures, contracts, security in Lua.

Rules: GC1-GC5, F1-F18, FU1-FU9, CX1-CX9, CT5-CT16, SE6, section 9.3; scenarios FZ1-FZ12 by id.
"""

# ruff: noqa: E501  (Lua in strings)
import importlib
from typing import Any

import pytest
import trio
import trio.testing
from bilingual import MODULES, Bench, opened

import trio_actors
from lua_bridge import LuaTarget, Script
from trio_actors.functions import parse_binding, parse_definition
from trio_actors.security import Actor, Scope, parse_policy
from trio_actors.security.store import MemoryStore
from trio_actors.security.tokens import TokenStore

Clock = trio.testing.MockClock


def install(bench: Bench, language: str, *names: str, pool: Any = None) -> None:
    bench.install(language, *names, pool=pool)


both = pytest.mark.parametrize("language", ["python", "lua"])


@both
async def test_fz1_callers_cannot_tell_the_language(language: str) -> None:
    """FZ1, GC1: from Python and from Lua."""
    async with opened() as bench:
        install(bench, language, "add")
        assert await bench.functions.call("app:add", 1, 2) == 3
        assert await bench.run('return funcs.call("app:add", 1, 2)') == 3


@both
async def test_fz2_arguments_are_copied(language: str) -> None:
    """FZ2, GC5."""
    async with opened() as bench:

        def change(t: dict[str, Any]) -> Any:
            t["x"] = 2
            return t

        if language == "python":
            bench.py("app:change", change)
        else:
            bench.lua("app:change", "return function(t) t.x = 2 return t end")
        source = 'local t = {x = 1} local r = funcs.call("app:change", t) return {t.x, r.x}'
        assert await bench.run(source) == [1, 2]


@both
async def test_fz3_failures_look_alike(language: str) -> None:
    """FZ3, F6: text is INTERNAL with unknown retryability, structured errors keep their fields."""
    async with opened() as bench:
        install(bench, language, "fail")
        shown = await bench.run(
            """local out = {}
            for _, how in ipairs{"text", "error"} do
              local value, err = funcs.call("app:fail", how)
              local d = err:details()
              out[#out + 1] = {value == nil, err:kind(), tostring(err:retryable()), d and d.n or 0,
                string.find(err, "x") ~= nil}
            end
            return out"""
        )
        assert shown == [
            [True, "Internal", "nil", 0, True],
            [True, "Conflict", "true", 1, True],
        ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 1", [1, None]),
        ("return nil", [None, None]),
        ("", [None, None]),
        ("return false", [False, None]),
        ('return 1, "text"', [None, "Internal:text"]),
        ("return 1, 2", [1, None]),
        ("return 1, {}", [1, None]),
        ("return 1, nil, 3", [1, None]),
        ('error("boom")', [None, "Internal:boom"]),
        ('error(errors.new{message = "m", kind = "Timeout"})', [None, "Timeout:m"]),
        ('return nil, errors.new("m")', [None, "Internal:m"]),
        ("return function() end", [None, "Invalid:"]),
    ],
)
async def test_what_a_lua_callee_does_and_the_caller_gets(body: str, expected: list[Any]) -> None:
    """Section 3.2, line by line."""
    async with opened() as bench:
        bench.lua("app:f", f"return function() {body} end")
        value, error = None, None
        try:
            value = await bench.functions.call("app:f")
        except trio_actors.ProcessError as caught:
            error = caught
        assert value == expected[0]
        if expected[1] is None:
            assert error is None
        else:
            assert error is not None
            kind, text = expected[1].split(":")
            assert error.kind.value == kind
            assert text in str(error)


@both
async def test_fz5_children_of_a_lua_function_end_with_it(
    language: str, autojump_clock: Clock
) -> None:
    """FZ5, F13."""
    log: list[str] = []

    async def child() -> None:
        await trio.sleep(1)
        log.append("too far")

    async with opened() as bench:
        if language == "python":
            bench.py("app:child", child)
        else:
            bench.py("app:mark", lambda: log.append("too far"))
            bench.lua(
                "app:child",
                'return function() time.sleep("1s") funcs.call("app:mark") end',
            )
        bench.lua(
            "app:parent",
            'return function() funcs.async("app:child") time.sleep("10ms") return "done" end',
        )
        assert await bench.functions.call("app:parent") == "done"
        await trio.sleep(5)
        assert log == []


@both
async def test_fz4_terminating_a_lua_process_stops_its_calls(
    language: str, autojump_clock: Clock
) -> None:
    """FZ4, F11: process, two functions, the innermost never gets on."""
    log: list[str] = []
    async with opened() as bench:
        install(bench, language, "sleeper")
        bench.py("app:mark", lambda: log.append("too far"))
        bench.lua(
            "app:middle",
            'return function() funcs.call("app:sleeper", 5) funcs.call("app:mark") end',
        )
        target = LuaTarget(
            Script("t:p", 'return function() funcs.call("app:middle") end', modules=MODULES)
        )
        pid = await bench.host.spawn(target)
        await trio.sleep(1)
        assert bench.functions.statistics("app:sleeper").busy == 1
        bench.functions.node.terminate(pid)
        await trio.sleep(10)
        assert log == []
        assert bench.functions.statistics("app:sleeper").busy == 0
        assert bench.functions.statistics("app:middle").busy == 0


@both
async def test_a_timeout_ends_the_callee(language: str, autojump_clock: Clock) -> None:
    """F20, F22 through an executor of Lua."""
    async with opened() as bench:
        install(bench, language, "sleeper")
        start = trio.current_time()
        shown = await bench.run(
            """local _, err = funcs.new():with_options{timeout = 50}:call("app:sleeper", 5)
            return {err:kind(), tostring(err), tostring(err:retryable())}"""
        )
        assert shown == ["Timeout", "call timed out after 50ms", "nil"]
        assert trio.current_time() - start == pytest.approx(0.05, abs=0.005)
        assert bench.functions.statistics("app:sleeper").busy == 0


@both
async def test_fz8_fz9_channels_of_futures(language: str) -> None:
    """FZ8, FZ9, FU2-FU4."""
    async with opened() as bench:
        install(bench, language, "add", "fail")
        assert await bench.run(
            """local f = funcs.async("app:add", 3, 4)
            local ch = f:response()
            local v, ok = ch:receive()
            local w, ok2 = ch:receive()
            return {v, ok, w == nil, ok2, f:result(), f:channel() == ch, f:is_complete()}"""
        ) == [7, True, True, False, 7, True, True]
        assert await bench.run(
            """local f = funcs.async("app:fail", "error")
            local e, ok = f:response():receive()
            local err, has = f:error()
            local value, again = f:result()
            return {e:kind(), ok, err:kind(), has, value == nil, again:kind()}"""
        ) == ["Conflict", True, "Conflict", True, True, "Conflict"]


@both
async def test_fz10_cancelled_futures(language: str, autojump_clock: Clock) -> None:
    """FZ10, FU8."""
    async with opened() as bench:
        install(bench, language, "sleeper")
        assert await bench.run(
            """local f = funcs.async("app:sleeper", 5)
            time.sleep("1s")
            f:cancel()
            local v, ok = f:response():receive()
            local value, err = f:result()
            return {v == nil, ok, f:is_canceled(), f:is_complete(), tostring(err), err:kind()}"""
        ) == [True, False, True, False, "canceled", "Canceled"]
        await trio.sleep(0.1)
        assert bench.functions.statistics("app:sleeper").busy == 0


async def test_async_calls_of_lua_overlap_and_select(autojump_clock: Clock) -> None:
    """FU6, FU7."""
    async with opened() as bench:
        install(bench, "python", "sleeper")
        start = trio.current_time()
        assert (
            await bench.run(
                """local a, b = funcs.async("app:sleeper", 3), funcs.async("app:sleeper", 1)
            local r = channel.select{a:response():case_receive(), b:response():case_receive()}
            local first = r.channel == b:response()
            a:response():receive()
            return first"""
            )
            is True
        )
        assert trio.current_time() - start == pytest.approx(3, abs=0.01)


@both
async def test_fz11_context_flows_down(language: str) -> None:
    """FZ11, CX1-CX5."""
    async with opened() as bench:
        install(bench, language, "ctx")
        bench.lua(
            "app:outer",
            """return function()
              local inner = funcs.new():with_context{b = 2}:call("app:ctx")
              return {inner = inner, own = ctx.all()}
            end""",
        )
        result = await bench.functions.new().with_context({"a": 1}).call("app:outer")
        assert result["own"] == {"a": 1}
        assert {k: result["inner"][k] for k in ("a", "b", "id")} == {
            "a": 1,
            "b": 2,
            "id": "app:ctx",
        }


@both
async def test_actors_travel_and_can_be_replaced(language: str) -> None:
    """CX3, F2: the callee sees the caller's actor, or the one of with_actor."""
    async with opened() as bench:
        install(bench, language, "ctx")
        assert await bench.run(
            """local first = funcs.call("app:ctx").actor
            local bob = security.new_actor("bob", {level = 3})
            local second = funcs.new():with_actor(bob):call("app:ctx").actor
            return {first, second, bob:meta().level, security.actor():id()}""",
            actor=Actor("ann"),
        ) == ["ann", "bob", 3, "ann"]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        ('funcs.call("")', "Invalid", "function ID required"),
        ('funcs.call("x")', "Invalid", "namespace required in function ID"),
        ('funcs.async("x:")', "Invalid", "name required in function ID"),
        ('funcs.call("app:gone")', "NotFound", "no handler registered for target"),
        ('funcs.new():with_options{timeout = "soon"}:call("app:add")', "Invalid", "timeout"),
        ('funcs.call("app:add", function() end)', "Invalid", "cannot pass a function"),
    ],
)
async def test_wrong_calls_give_nil_and_an_error(call: str, kind: str, text: str) -> None:
    """F1, F3, F4, F20, GC5."""
    async with opened() as bench:
        install(bench, "python", "add")
        value, shown, message = await bench.run(
            f"local v, err = {call} return {{v == nil, err:kind(), tostring(err)}}"
        )
        assert (value, shown) == (True, kind)
        assert text in message


@pytest.mark.parametrize(
    "call",
    ["funcs.call({})", "funcs.new():with_context(3)", "funcs.new():with_options()",
     'funcs.new():with_actor("x")', "funcs.new():with_scope()", "contract.get({})",
     'contract.is(3, "x")'],
)  # fmt: skip
async def test_wrong_argument_types_raise(call: str) -> None:
    """GC3."""
    async with opened() as bench:
        assert await bench.run(f"local ok = pcall(function() return {call} end) return ok") is False


async def test_lua_functions_keep_their_worker_but_not_their_globals(autojump_clock: Clock) -> None:
    """PL14, DE3, DE7: chunk locals live on, globals are new, a failing chunk runs again."""
    async with opened() as bench:
        bench.lua(
            "app:count",
            """local n = 0
            base = 10
            return function() n = n + 1; g = (g or 0) + 1; base = base + 1; return {n, g, base} end""",
            pool={"workers": 1},
        )
        shown = [await bench.functions.call("app:count") for _ in range(3)]
        assert shown == [[1, 1, 11], [2, 1, 11], [3, 1, 11]]
        bench.lua("app:broken", "error('no')")
        for _ in range(2):
            with pytest.raises(trio_actors.ProcessInternal, match="failed to execute script"):
                await bench.functions.call("app:broken")
        bench.lua("app:empty", "return {}", "go")
        with pytest.raises(trio_actors.ProcessNotFound, match='method "go" not found in module'):
            await bench.functions.call("app:empty")


async def test_a_lua_loop_is_ended_with_its_call() -> None:
    """F14, F15: in real time; the worker is usable afterwards."""
    async with opened() as bench:
        bench.lua(
            "app:loop",
            "return function(on) while on do end return 'ok' end",
            pool={"workers": 1},
        )
        with trio.fail_after(3), trio.move_on_after(0.05):
            await bench.functions.call("app:loop", True)
        assert await bench.functions.call("app:loop", False) == "ok"


async def test_fz14_inline_lua_functions_recurse() -> None:
    """FZ14, PL11."""
    async with opened() as bench:
        bench.lua(
            "app:down",
            'return function(n) if n == 0 then return 0 end return 1 + funcs.call("app:down", n - 1) end',
            pool={"type": "inline"},
        )
        with trio.fail_after(5):
            assert await bench.functions.call("app:down", 5) == 5


# -- contracts


def with_contract(bench: Bench) -> None:
    schema = {
        "format": "application/schema+json",
        "definition": {
            "type": "object",
            "required": ["to"],
            "properties": {"tags": {"type": "object"}},
        },
    }
    contracts = bench.functions.contracts
    methods = [{"name": "send", "input_schemas": [schema]}, {"name": "who"}]
    contracts.define(parse_definition("app.email:sender", {"methods": methods}))
    bench.lua("app:send", "return function(m) return 'lua to ' .. m.to end")
    bench.py("app:psend", lambda m: f"python to {m['to']}")
    install(bench, "python", "ctx")
    for name, target, default in (("lua", "app:send", True), ("py", "app:psend", False)):
        part = {
            "contract": "app.email:sender",
            "default": default,
            "methods": {"send": target, "who": "app:ctx"},
        }
        contracts.bind(parse_binding(f"app:{name}", {"contracts": [part]}))


async def test_contracts_from_lua() -> None:
    """CT5-CT12, FZ23: default binding, instance, async, names, bad input, queries."""
    async with opened() as bench:
        with_contract(bench)
        assert await bench.run(
            """local sender = contract.get("app.email:sender")
            local other = contract.open("app:py?tenant=acme")
            local _, bad = sender:send({})
            local future = sender:send_async{to = "b", tags = {}}
            local _, gone = contract.get("app:gone")
            return {
              sender:send{to = "a"}, other:send{to = "a"}, future:response():receive(),
              tostring(bad), bad:details().pointer, sender:id(), #sender:methods(),
              sender:method("who").name, sender:implementations(), sender.nothing == nil,
              contract.is(other, "app.email:sender"), contract.is({}, "x"), gone:kind(),
              sender:with_context{a = 1}:who().a, other:who().tenant,
            }"""
        ) == [
            "lua to a",
            "python to a",
            "lua to b",
            'app.email:sender.send: argument 1 at /: expected property "to", found {}'
            " (schema /required)",
            "",
            "app.email:sender",
            2,
            "who",
            ["app:lua", "app:py"],
            True,
            True,
            False,
            "NotFound",
            1,
            "acme",
        ]


# -- security


def policy(name: str, actions: Any, effect: str = "allow", groups: Any = ()) -> Any:
    body = {"actions": actions, "resources": "*", "effect": effect}
    return parse_policy(f"app:{name}", {"policy": body, "groups": list(groups)})


async def test_security_from_lua() -> None:
    """Section 9.3, SE1, SE4, SE6, and explain."""
    async with opened() as bench:
        security = bench.functions.security
        for item in (policy("read", "read", groups=["staff"]), policy("no", "read", "deny")):
            security.policies[item.id] = item
        assert await bench.run(
            """local read, no = security.policy("app:read"), security.policy("app:no")
            local ann = security.new_actor("ann")
            local scope = security.new_scope{read}
            local both = scope:with(no)
            local _, gone = security.policy("app:gone")
            local why = security.explain("read", "x")
            return {
              scope:evaluate(ann, "read", "x"), both:evaluate(ann, "read", "x"),
              scope:evaluate(ann, "write", "x"), read:evaluate(ann, "read", "x"),
              both:contains("app:no"), #both:policies(), both:policies()[1]:id(),
              both:without("app:no"):evaluate(ann, "read", "x"),
              security.named_scope("app:staff"):contains("app:read"),
              gone:kind(), security.can("read", "x"), why.allowed, why.reason,
            }"""
        ) == [
            "allow", "deny", "undefined", "allow", True, 2, "app:no", "allow", True,
            "NotFound", False, False, "there is no actor",
        ]  # fmt: skip
        scope = Scope([policy("read", "read")])
        assert await bench.run(
            """local why = security.explain("read", "x")
            return {security.can("read", "x"), security.can("write", "x"), why.policy, why.steps[1].reason}""",
            actor=Actor("ann"),
            scope=scope,
        ) == [True, False, "app:read", "matches"]


async def test_tokens_from_lua(autojump_clock: Clock) -> None:
    """SE20-SE22: signed, expiring, revoked, forged; one text for all refusals."""
    async with opened() as bench:
        node, security = bench.functions.node, bench.functions.security
        security.policies["app:read"] = policy("read", "read")
        security.token_stores["app:tokens"] = TokenStore(
            node, security, "app:tokens", MemoryStore(node, "app:mem"), token_key="k"
        )
        assert await bench.run(
            """local store = security.token_store("app:tokens")
            local ann = security.new_actor("ann", {level = 3})
            local scope = security.new_scope{security.policy("app:read")}
            local token = store:create(ann, scope, {expiration = "10s"})
            local actor, rebuilt = store:validate(token)
            local out = {actor:id(), actor:meta().level, rebuilt:evaluate(actor, "read", "x")}
            local function refused(t)
              local a, s, err = store:validate(t)
              out[#out + 1] = a == nil and s == nil and tostring(err)
            end
            refused(token .. "x")
            refused(string.match(token, "^[^.]+"))
            local second = store:create(ann, scope, {})
            out[#out + 1] = store:revoke(second)
            refused(second)
            time.sleep("11s")
            refused(token)
            local _, bad = store:create(ann, scope, {expiration = "soon"})
            out[#out + 1] = bad:kind()
            out[#out + 1] = store:close() and store:close()
            local _, _, closed = store:validate(token)
            out[#out + 1] = tostring(closed)
            return out"""
        ) == [
            "ann", 3, "allow", "invalid token", "invalid token", True, "invalid token",
            "invalid token", "Invalid", True, "token store is closed",
        ]  # fmt: skip


async def test_spawn_builders_take_actors_and_scopes_of_the_module() -> None:
    """B2, B8: with_actor and with_scope of `process`."""
    async with opened() as bench:
        bench.functions.security.policies["app:all"] = policy("all", "*")
        target = LuaTarget(
            Script(
                "t:child",
                "return function() return {security.actor():id(), security.can('x', 'y')} end",
                modules=MODULES,
            )
        )

        class Source:
            def find(self, id: str) -> Any:
                return target if id == "t:child" else None

        bench.functions.node.add_source(Source())
        assert await bench.run(
            """local scope = security.new_scope{security.policy("app:all")}
            local events = process.events()
            process.with_context{}:with_actor(security.new_actor("eve")):with_scope(scope)
              :spawn_monitored("t:child", "t:lua")
            return events:receive().result.value"""
        ) == ["eve", True]


async def test_stores_from_lua(autojump_clock: Clock) -> None:
    """SE23: values are copies, times to live run out, a full store says so."""
    async with opened() as bench:
        node = bench.functions.node
        bench.functions.security.stores["app:mem"] = MemoryStore(node, "app:mem", max_size=2)
        assert await bench.run(
            """local s = store.get("app:mem")
            local t = {n = 1}
            s:set("a", t)
            t.n = 2
            s:set("b", true, "10s")
            local ok, full = s:set("c", 1)
            local out = {s:get("a").n, s:has("b"), s:get("zzz") == nil, ok == nil, full:kind()}
            time.sleep("11s")
            out[#out + 1] = s:has("b")
            out[#out + 1] = s:set("c", 1)
            out[#out + 1] = s:delete("c")
            out[#out + 1] = s:delete("c")
            local _, bad = s:set("d", 1, "soon")
            out[#out + 1] = bad:kind()
            local _, gone = store.get("app:gone")
            out[#out + 1] = gone:kind()
            return out"""
        ) == [1, True, True, True, "Unavailable", False, True, True, False, "Invalid", "NotFound"]


# Lua's words that are Python keywords, or functions that wait in Lua only.
RENAMED = {"async": "async_", "is": "is_"}


@pytest.mark.parametrize("name", ["funcs", "contract", "security", "events", "queue", "store"])
async def test_python_has_a_twin_of_every_function(name: str) -> None:
    """GC2: the same names, with an underscore where they are keywords."""
    async with opened() as bench:
        names = await bench.run(
            f"""local out = {{}}
            for key in pairs({name}) do out[#out + 1] = key end
            table.sort(out)
            return out"""
        )
        assert len(names) > 0
        twin = importlib.import_module(f"trio_actors.{name}")
        assert {RENAMED.get(key, key) for key in names} <= set(twin.__all__)
