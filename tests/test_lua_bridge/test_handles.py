"""Python objects that scripts hold: how long they live; no number is used twice. M23."""

from typing import Any

import pytest
from bilingual import opened

from lua_bridge import handles
from trio_actors.functions import parse_binding, parse_definition
from trio_actors.security import Actor, Scope, parse_policy


def alive(bench: Any) -> int:
    """Objects that the processes of this node hold."""
    node = id(bench.functions.node)
    return sum(len(t.objects) for (owner, _), t in handles._tables.items() if owner == node)


@pytest.mark.parametrize(
    "make",
    [
        "security.new_scope()",
        'contract.open("app:b")',
        'funcs.new():with_actor(security.new_actor("a" .. i))',
    ],
)
async def test_a_script_may_make_them_for_ever(make: str) -> None:
    """What the script let go is let go: 10,500 objects, with a limit of 10,000 at one time."""
    async with opened() as bench:
        bench.py("app:f", lambda: None)
        bench.functions.contracts.define(parse_definition("app:c", {"methods": [{"name": "f"}]}))
        part = {"contract": "app:c", "default": True, "methods": {"f": "app:f"}}
        bench.functions.contracts.bind(parse_binding("app:b", {"contracts": [part]}))
        made = await bench.run(
            f"""for i = 1, 10500 do
              local it, err = {make}
              if not it then return tostring(err) end
            end
            return true"""
        )
        assert made is True
        assert alive(bench) == 0  # all of them, with the process


async def test_what_is_in_use_stays(autojump_clock: object) -> None:
    """While an executor, a builder or a call under way needs them, through any collection."""
    async with opened() as bench:
        bench.install("lua", "ctx")
        bench.lua(
            "app:slow",
            'return function() time.sleep("1s") return security.actor():id() end',
        )
        bench.functions.contracts.define(parse_definition("app:c", {"methods": [{"name": "f"}]}))
        part = {"contract": "app:c", "default": True, "methods": {"f": "app:slow"}}
        bench.functions.contracts.bind(parse_binding("app:b", {"contracts": [part]}))
        assert await bench.run(
            """local function churn()
              for i = 1, 6000 do security.new_actor("x") end
            end
            local exec = funcs.new():with_actor(security.new_actor("ann"))
            exec = exec:with_context{a = 1}
            local builder = process.with_context{}:with_actor(security.new_actor("eve"))
            churn()
            local out = {exec:call("app:ctx").actor}
            local done = channel.new(2)
            coroutine.spawn(function()
              done:send(contract.get("app:c"):with_actor(security.new_actor("bob")):f())
            end)
            coroutine.spawn(function()
              done:send(funcs.new():with_actor(security.new_actor("joe")):call("app:slow"))
            end)
            coroutine.spawn(churn)
            out[2], out[3] = done:receive(), done:receive()
            table.sort(out)
            return out"""
        ) == ["ann", "bob", "joe"]


async def test_one_object_has_one_number_until_all_are_gone() -> None:
    """Two Lua objects for one actor: the first to go does not take it from the second."""
    async with opened() as bench:
        body = {"actions": "security.*", "resources": "*", "effect": "allow"}
        scope = Scope([parse_policy("t:p", {"policy": body})])
        assert await bench.run(
            """local mine = security.actor()
            for i = 1, 12000 do security.actor() end
            return {mine:meta().level, security.actor():meta().level}""",
            actor=Actor("ann", {"level": 3}),
            scope=scope,
        ) == [3, 3]


async def test_what_a_worker_keeps_from_an_earlier_call_stands_for_nothing() -> None:
    """Never for another actor that got the same number: that would be a change of rights."""
    async with opened() as bench:
        bench.install("lua", "ctx")
        bench.lua(
            "app:f",
            """local kept
            return function()
              local first = security.new_actor("admin")
              kept = kept or security.new_actor("nobody")
              local answer, err = funcs.new():with_actor(kept):call("app:ctx")
              return {answer and answer.actor, err and err:message(), first:id()}
            end""",
            pool={"workers": 1},
        )
        assert await bench.functions.call("app:f") == {1: "nobody", 3: "admin"}
        assert await bench.functions.call("app:f") == {
            2: "this actor is of a call that has ended",
            3: "admin",
        }
