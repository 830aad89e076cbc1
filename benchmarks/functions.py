"""Costs of calling, in checkpoints of the same run: `python benchmarks/functions.py [--quick]`.

One unit is what a bare `await fn()` with one checkpoint costs. The programs take turns in small
blocks and the smallest CPU time of each counts, so that other work on the machine hardly shows.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing

from lua_bridge import LuaCallee, Script
from trio_actors import open_node
from trio_actors.functions import open_functions, parse_binding, parse_definition
from trio_actors.schemas import compile_schema
from trio_actors.security import Actor, Check, Scope, Verdict, parse_policy

BLOCK = 200
INLINE = {"type": "inline"}
FIELDS = {f"field{n}": {"type": "integer"} for n in range(14)}
SCHEMA = {"type": "object", "required": ["field0"], "properties": FIELDS}
VALUE = {f"field{n}": n for n in range(14)}


async def bare() -> None:
    """One checkpoint and nothing else: the unit."""
    await trio.lowlevel.checkpoint()


async def with_argument(value: Any) -> None:
    """The callee of the contract."""
    await trio.lowlevel.checkpoint()


async def empty(call: Any, next: Any) -> Any:
    """An interceptor that does nothing."""
    return await next(call)


async def measure(blocks: int) -> dict[str, float]:
    """Microseconds of CPU time per call of each program."""
    async with open_node() as node, open_functions(node) as functions:
        async with node.open_host("bench:lua") as host:
            functions.register("b:inline", bare, pool=INLINE)
            functions.register("b:lazy", bare)
            functions.register("b:plain", lambda: None, pool=INLINE)
            functions.register("b:chain", bare, pool=INLINE)
            functions.register("b:method", with_argument, pool=INLINE)
            for n in range(10):
                functions.add_interceptor(f"empty{n}", empty, match="b:chain")
            script = Script("b:lua", "return function() return 1 end")
            functions.install("b:lua", LuaCallee(host, script, "main"), pool=INLINE)
            schema = {"format": "application/schema+json", "definition": SCHEMA}
            method = {"name": "do", "input_schemas": [schema]}
            functions.contracts.define(parse_definition("b:contract", {"methods": [method]}))
            part = {"contract": "b:contract", "default": True, "methods": {"do": "b:method"}}
            functions.contracts.bind(parse_binding("b:binding", {"contracts": [part]}))
            contract = functions.contracts.get("b:contract")
            programs: dict[str, Callable[[], Awaitable[Any]]] = {
                "bare await with one checkpoint": bare,
                "inline Python function": lambda: functions.call("b:inline"),
                "inline Python function, plain def": lambda: functions.call("b:plain"),
                "lazy Python function": lambda: functions.call("b:lazy"),
                "the same through 10 empty interceptors": lambda: functions.call("b:chain"),
                "inline Lua function": lambda: functions.call("b:lua"),
                "contract call, 14-field schema": lambda: contract.do(VALUE),
            }
            best = dict.fromkeys(programs, float("inf"))
            for _ in range(blocks):
                for name, program in programs.items():
                    start = time.process_time()
                    for _ in range(BLOCK):
                        await program()
                    took = (time.process_time() - start) / BLOCK * 1e6
                    best[name] = min(best[name], took)
    return best


def per_call(function: Callable[[], object], blocks: int) -> float:
    """Microseconds of CPU time of a plain call."""
    best = float("inf")
    for _ in range(blocks):
        start = time.process_time()
        for _ in range(1000):
            function()
        best = min(best, (time.process_time() - start) / 1000 * 1e6)
    return best


CONDITIONS = [
    {"field": "actor.meta.level", "operator": "gte", "value": 3},
    {"field": "actor.meta.team", "operator": "eq", "value": "sales"},
]


def policies_of(count: int, groups: int, conditions: int = 1) -> Scope:
    """A scope of that many policies, of which one in `groups` matches; all have conditions."""
    bodies = [
        {
            "actions": ["funcs.call", f"module{n}.*"],
            "resources": f"app{n % groups}:*",
            "effect": "allow",
            "conditions": CONDITIONS[:conditions],
        }
        for n in range(count)
    ]
    return Scope(parse_policy(f"app:p{n}", {"policy": body}) for n, body in enumerate(bodies))


def schedule() -> float:
    """Virtual time of 100 calls of 1 ms on a static pool of 8, over the ideal 13 ms."""

    async def one() -> None:
        await trio.sleep(0.001)

    async def main() -> float:
        async with open_node() as node, open_functions(node) as functions:
            functions.register("b:one", one, pool={"workers": 8})
            start = trio.current_time()
            async with trio.open_nursery() as nursery:
                for _ in range(100):
                    nursery.start_soon(functions.call, "b:one")
            return (trio.current_time() - start) / 0.013

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few blocks: does it run")
    blocks = 3 if parser.parse_args().quick else 60
    best = trio.run(measure, blocks)
    unit = best["bare await with one checkpoint"]
    chain = (best["the same through 10 empty interceptors"] - best["inline Python function"]) / 10
    lines = [
        ("inline Python function", best["inline Python function"] / unit, 6),
        (
            "inline Python function, plain def",
            best["inline Python function, plain def"] / unit,
            None,
        ),
        ("lazy Python function", best["lazy Python function"] / unit, None),
        ("each further empty interceptor", chain / unit, 0.3),
        ("inline Lua function", best["inline Lua function"] / unit, 8),
        ("contract call, 14-field schema", best["contract call, 14-field schema"] / unit, 10),
    ]
    print(f"one checkpoint: {unit:.2f} us of CPU time")
    for name, value, goal in lines:
        print(f"  {name:40} {value:6.2f} checkpoints" + (f"  (goal {goal})" if goal else ""))
    schema = compile_schema(SCHEMA)
    actor = Actor("ann", {"level": 7, "team": "sales"})
    check = Check(actor, "funcs.call", "app0:f", {})
    checked = per_call(lambda: schema.check(VALUE), blocks)
    scopes = {
        "4 match": (policies_of(20, 5), 10),
        "all match": (policies_of(20, 1), 10),
        "2 conditions": (policies_of(20, 1, 2), None),
    }
    print(f"  {'validation of 14 fields':40} {checked:6.2f} us  (goal 5)")
    for name, (scope, goal) in scopes.items():
        assert scope.decide(check) is Verdict.ALLOW
        decided = per_call(functools.partial(scope.decide, check), blocks)
        aim = f"  (goal {goal})" if goal else ""
        print(f"  {'decision over 20 policies, ' + name:40} {decided:6.2f} us{aim}")
    print(
        f"  {'static pool of 8, 100 callers':40} {schedule():6.3f} of the ideal time  (goal 1.05)"
    )


if __name__ == "__main__":
    main()
