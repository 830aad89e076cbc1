"""Async calls of scripts: their order, those cancelled before they began, those kept too long.

The Python side: tests/test_trio_actors/test_functions_cancelled.py.
"""

from typing import Any

import pytest
import trio
import trio.testing
from bilingual import Bench, opened

import trio_actors
from lua_bridge import LuaTarget, Script, handles
from trio_actors._core.function import function_target
from trio_actors.functions import parse_binding, parse_definition

Clock = trio.testing.MockClock
CHAIN = {"options": {"metrics": True}}
LANGUAGES = pytest.mark.parametrize("callee", ["python", "lua"])
WAYS = {
    "plain": "funcs.async('app:f', {})",
    "through a chain": "funcs.new():with_options{{metrics = true}}:async('app:f', {})",
    "by contract": "contract.get('app:c'):do_it_async({})",
}


def offer(bench: Bench, callee: str, pool: dict[str, Any]) -> list[Any]:
    """`app:f` in this language, which notes its argument; also by contract."""
    noted: list[Any] = []
    bench.py("app:note", noted.append)
    if callee == "python":
        bench.py("app:f", noted.append, pool)
    else:
        bench.lua("app:f", 'return function(n) funcs.call("app:note", n) end', pool=pool)
    contracts = bench.functions.contracts
    contracts.define(parse_definition("app:c", {"methods": [{"name": "do_it"}]}))
    part = {"contract": "app:c", "default": True, "methods": {"do_it": "app:f"}}
    contracts.bind(parse_binding("app:b", {"contracts": [part]}))
    return noted


@LANGUAGES
@pytest.mark.parametrize("way", WAYS)
async def test_pl5_async_calls_start_in_the_order_in_which_they_were_made(
    way: str, callee: str
) -> None:
    """PL5: ten times, since Trio's order is chance."""
    async with opened() as bench:
        noted = offer(bench, callee, {"workers": 1})
        for _ in range(10):
            noted.clear()
            await bench.run(
                f"""local futures = {{}}
                for n = 1, 6 do futures[n] = {WAYS[way].format("n")} end
                for n = 1, 6 do futures[n]:response():receive() end"""
            )
            assert noted == [1, 2, 3, 4, 5, 6]


@LANGUAGES
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pool", [{"type": "inline"}, {"workers": 1}, {"max_size": 1}])
async def test_fu9_a_call_cancelled_before_it_began_never_runs(
    pool: dict[str, Any], way: str, callee: str
) -> None:
    """FU8, FU9, F15, PL19: no code of it, in either language."""
    async with opened() as bench:
        noted = offer(bench, callee, pool)
        functions = bench.functions
        start: Any = {
            "plain": lambda n: functions.async_("app:f", n),
            "through a chain": lambda n: (
                functions.new().with_options(CHAIN["options"]).async_("app:f", n)
            ),
            "by contract": functions.contracts.get("app:c").do_it_async,
        }[way]
        first, second = start(1), start(2)
        first.cancel()
        await second
        stats = functions.statistics("app:f")
        assert (noted, stats.completed, stats.failed, stats.busy) == ([2], 1, 0, 0)


async def test_fu10_a_future_that_a_worker_kept_is_dead(autojump_clock: Clock) -> None:
    """FU10, PL14, F13: a later call of the worker can ask it and cancel it; nothing comes of it."""
    source = """local kept
    return function()
      if not kept then kept = funcs.async("app:sleeper", 5) return "kept" end
      local value, err = kept:result()
      local ok = kept:cancel()
      local received, more = kept:response():receive()
      return {value == nil, err == nil, ok, received == nil, more}
    end"""
    async with opened() as bench:
        bench.install("python", "sleeper")
        bench.lua("app:keep", source, pool={"workers": 1})
        assert await bench.functions.call("app:keep") == "kept"
        assert await bench.functions.call("app:keep") == [True, True, True, True, False]
        assert bench.functions.statistics("app:sleeper").busy == 0


async def test_a_call_for_whose_future_there_is_no_room_does_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """FU9, GC3: nil, RATE_LIMITED, and nothing goes on that nobody could cancel."""
    monkeypatch.setattr(handles, "LIMIT", 2)
    async with opened() as bench:
        noted = offer(bench, "python", {"workers": 9})
        for way in ("plain", "by contract"):
            noted.clear()
            call = WAYS[way].format("n")
            assert await bench.run(
                f"""local c, futures = contract.get("app:c"), {{}}
                for n = 1, 3 do
                  local future, err = {call.replace("contract.get('app:c')", "c")}
                  if future then
                    futures[#futures + 1] = future
                  else
                    for _, made in ipairs(futures) do made:response():receive() end
                    return {{#futures, err:kind()}}
                  end
                end"""
            ) == [1, "RateLimited"]
            await trio.testing.wait_all_tasks_blocked()
            assert noted == [1]


async def test_a_future_is_read_once_and_asked_often() -> None:
    """The table of section 4, FU2, FU4: also after it was cancelled when it was complete."""
    async with opened() as bench:
        bench.install("lua", "add")
        assert await bench.run(
            """local f = funcs.async("app:add", 1, 2)
            local same = f:response() == f:channel() and f:response() == f:response()
            local out = {same, f:response():receive()}
            local again = {f:response():receive()}
            local before = {f:result()}
            f:cancel() f:cancel()
            local _, err = f:result()
            local e, failed = f:error()
            return {out, again[1] == nil, again[2], before[1], f:is_complete(), f:is_canceled(),
              tostring(err), e == nil, failed, select(2, f:response():receive())}"""
        ) == [[True, 3, True], True, False, 3, True, True, "canceled", True, False, False]


async def test_ct6_a_method_that_went_after_it_was_named_is_not_found() -> None:
    """CT6, CT8: a script that keeps the contract asks for what is there when it calls."""
    async with opened() as bench:
        offer(bench, "python", {"workers": 1})
        contracts = bench.functions.contracts

        def change() -> None:
            contracts.remove_binding("app:b")
            contracts.define(parse_definition("app:c", {"methods": []}))
            part = {"contract": "app:c", "default": True, "methods": {}}
            contracts.bind(parse_binding("app:b", {"contracts": [part]}))

        bench.py("app:change", change)
        assert await bench.run(
            """local c = contract.get("app:c")
            local before = select(2, c:do_it(1))
            funcs.call("app:change")
            local value, err = c:do_it(1)
            local future, refused = c.do_it_async
            return {before == nil, value == nil, err:kind(), err:message(), future == nil}"""
        ) == [True, True, "NotFound", "method not found: do_it", True]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{1, 2, nil, 4}", "context value k is neither an array without gaps nor"),
        ('{"a", x = "b"}', "context value k is neither an array without gaps nor"),
        ('{a = {"a", x = "b"}}', "context value k.a is neither an array without gaps nor"),
        ("{[1.5] = 1}", "context value k has a key that is neither text nor an array index"),
        ("{[true] = 1}", "context value k has a key that is neither text nor an array index"),
        ("function() end", "context value k is a function; allowed are"),
        ("{x = {channel.new(0)}}", "context value k.x.1 is a channel; allowed are"),
    ],
)
async def test_cx9_a_table_that_may_not_travel_is_named_when_it_is_given(
    value: str, text: str
) -> None:
    """CX9, B1: by its path; the executor is not made, and a process is not started either."""
    async with opened() as bench:
        shown = await bench.run(
            f"""local exec, err = funcs.new():with_context{{k = {value}}}
            local ok, raised = pcall(process.with_context, {{k = {value}}})
            return {{exec == nil, err:kind(), err:message(), ok, raised:kind(),
              raised:message()}}"""
        )
        assert shown[:2] == [True, "Invalid"]
        assert shown[2].startswith(text)
        assert shown[3:] == [False, "Invalid", shown[2]]


async def test_cx9_a_context_value_that_contains_itself_is_nested_too_deeply() -> None:
    """CX9: with an end."""
    async with opened() as bench:
        shown = await bench.run(
            """local ring = {} ring.x = ring
            local exec, err = funcs.new():with_context{k = ring}
            return {exec == nil, err:kind(), err:message()}"""
        )
        assert shown[:2] == [True, "Invalid"]
        assert shown[2].endswith("is nested too deeply")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("argument", "text"),
    [
        (object(), r"cannot pass a builtins\.object to Lua at \[0\]"),
        ({"a": [1, {2}]}, r"cannot pass a builtins\.set to Lua at \[0\]\.a\[1\]"),
        (2**63, "integer outside of 64 bits"),
    ],
    ids=["object", "set", "integer"],
)
async def test_f4_what_cannot_cross_is_a_start_error_of_python_too(
    argument: Any, text: str, way: str
) -> None:
    """F4, GC5: when the callee is Lua; no worker is taken, and no chain runs."""
    chain: list[str] = []

    async def note(call: Any, next: Any) -> Any:
        chain.append(call.id)
        return await next(call)

    async with opened() as bench:
        offer(bench, "lua", {"max_size": 1})
        functions = bench.functions
        if way == "through a chain":
            functions.add_interceptor("note", note)
        start: Any = functions.async_
        if way == "by contract":
            start = lambda id, x: functions.contracts.get("app:c").do_it_async(x)  # noqa: E731
        with pytest.raises(trio_actors.ProcessInvalid, match=text):
            start("app:f", argument)
        await trio.testing.wait_all_tasks_blocked()
        assert (chain, functions.statistics("app:f").workers) == ([], 0)


@pytest.mark.parametrize("way", ["plain", "through a chain"])
async def test_gc5_the_arguments_of_an_async_call_are_those_at_its_start(way: str) -> None:
    """GC5: a Lua callee does not see what its caller did to them afterwards."""
    async with opened() as bench:
        bench.lua("app:sum", "return function(t) return #t.items + t.n end")
        meta = CHAIN["options"] if way == "through a chain" else {}
        argument = {"items": [1, 2], "n": 10}
        future = bench.functions.new().with_options(meta).async_("app:sum", argument)
        argument["items"] = []
        argument["n"] = 0
        assert await future == 12


class Processes:
    """A node's definitions of `app:p` in both languages: it notes its argument and ends."""

    def __init__(self, callee: str, note: Any) -> None:
        async def main(ctx: trio_actors.ProcessContext, value: Any) -> None:
            note(value)

        source = 'return function(t) funcs.call("app:note", t) end'
        lua = LuaTarget(Script("app:p", source, modules=("funcs",)))
        self.target: Any = lua if callee == "lua" else function_target(main, id="app:p")

    def find(self, id: str) -> Any:
        return self.target if id == "app:p" else None


def offer_process(bench: Bench, callee: str) -> list[Any]:
    """`app:p`, a process of this language that is called like a function."""
    noted: list[Any] = []
    bench.py("app:note", noted.append)
    bench.functions.node.add_source(Processes(callee, noted.append))
    bench.functions.install_process("app:p", bench.host.id)
    return noted


@pytest.mark.parametrize("way", ["plain", "through a chain"])
async def test_f4_what_cannot_cross_into_a_called_process_is_a_start_error_too(way: str) -> None:
    """F4, F27, GC5: a script as the process; no chain runs and none is started."""
    chain: list[str] = []

    async def note(call: Any, next: Any) -> Any:
        chain.append(call.id)
        return await next(call)

    async with opened() as bench:
        noted = offer_process(bench, "lua")
        functions = bench.functions
        if way == "through a chain":
            functions.add_interceptor("note", note, match="app:p")
        alive = bench.host.alive
        with pytest.raises(trio_actors.ProcessInvalid, match=r"cannot pass a builtins\.set to Lua"):
            functions.async_("app:p", {"a": {2}})
        await trio.testing.wait_all_tasks_blocked()
        assert (chain, noted, bench.host.alive) == ([], [], alive)
        await functions.async_("app:p", {"a": 2})
        assert noted == [{"a": 2}]


@LANGUAGES
async def test_gc5_a_called_process_sees_the_arguments_as_at_the_start_of_the_call(
    callee: str,
) -> None:
    """GC5, M26: a script has a copy made at once; Python to Python goes by reference."""
    async with opened() as bench:
        noted = offer_process(bench, callee)
        argument = {"items": [1, 2]}
        future = bench.functions.async_("app:p", argument)
        argument["items"] = [3]
        await future
        assert noted == [{"items": [1, 2] if callee == "lua" else [3]}]
