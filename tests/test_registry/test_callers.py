"""Everybody who can call a function gets the same of it, in both languages. GC1, FZ23, FZ24.

The application is YAML as users write it; the ways to call are `app.call`,
`ctx.call_function`, `funcs` in Python and Lua, a contract in both, and the command line.
"""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from registry import App, open_app
from registry.cli.commands import run_command
from trio_actors import ProcessError

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - {name: host, kind: process.host}
  - {name: lua, kind: function.lua, method: main, source: file://half.lua}
  - {name: python, kind: function.py, source: "code_of_callers:half"}
  - {name: process, kind: process.lua, source: file://half.lua, meta: {default_host: "app:host"}}
  - name: halves
    kind: contract.definition
    methods:
      - name: half
        input_schemas:
          - {format: application/schema+json, definition: {type: object, required: [n]}}
  - name: by_lua
    kind: contract.binding
    contracts: [{contract: halves, default: true, methods: {half: lua}}]
  - name: by_python
    kind: contract.binding
    contracts: [{contract: halves, methods: {half: python}}]
  - {name: asks, kind: process.py, source: "code_of_callers:asks"}
  - name: asks_lua
    kind: process.lua
    modules: [funcs, contract]
    source: |
      return function(way, id, value)
        local result, err
        if way == "contract" then result, err = contract.get("app:halves"):half(value)
        else result, err = funcs.call(id, value) end
        if err then return {err:kind(), err:message(), err:details() or "-"} end
        return result
      end
"""
FILES = {
    "main.yaml": MAIN,
    "half.lua": """\
return {main = function(t)
  if t.n % 2 == 1 then error(errors.new{kind = errors.CONFLICT, message = "odd"}) end
  return {half = t.n // 2}
end}
""",
    "code_of_callers.py": """\
from trio_actors import ErrorKind, ProcessError, contract, funcs, make_error

async def half(t):
    if t["n"] % 2 == 1:
        raise make_error(ErrorKind.CONFLICT, "odd")
    return {"half": t["n"] // 2}

async def asks(ctx, way, id, value):
    try:
        if way == "contract":
            return await contract.get("app:halves").half(value)
        if way == "ctx":
            return await ctx.call_function(id, value, timeout="1h")
        return await funcs.call(id, value)
    except ProcessError as error:
        return [error.kind.value, str(error), error.details or "-"]
""",
}


@pytest.fixture
async def app(write_app: WriteApp) -> AsyncIterator[App]:
    """The application above, running."""
    async with open_app(write_app(FILES)) as app:
        yield app


async def outside(app: App, id: str, value: Any) -> Any:
    """`app.call`."""
    try:
        return await app.call(id, value)
    except ProcessError as error:
        return [error.kind.value, str(error), error.details or "-"]


def inside(process: str, way: str) -> Any:
    """A process of the application that calls."""

    async def ask(app: App, id: str, value: Any) -> Any:
        return await app.node.call(process, way, id, value, host="app:host")

    return ask


WAYS = {
    "app.call": outside,
    "ctx.call_function": inside("app:asks", "ctx"),
    "funcs of Python": inside("app:asks", "funcs"),
    "funcs of Lua": inside("app:asks_lua", "funcs"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("callee", ["app:lua", "app:python", "app:process"])
async def test_every_way_to_call_gives_the_same(way: str, callee: str, app: App) -> None:
    """GC1, F6, F27: the value, the error, and an unknown id."""
    assert await WAYS[way](app, callee, {"n": 8}) == {"half": 4}
    assert await WAYS[way](app, callee, {"n": 7}) == ["Conflict", "odd", "-"]
    gone = ["NotFound", "no handler registered for target", {"target": "app:gone"}]
    assert await WAYS[way](app, "app:gone", 1) == gone


@pytest.mark.parametrize("process", ["app:asks", "app:asks_lua"])
async def test_an_implementation_is_exchanged_under_its_callers(process: str, app: App) -> None:
    """FZ23, FZ24, CT6, CT15: the same calling code, in both languages, before and after."""
    ask = inside(process, "contract")

    async def default(name: str) -> None:
        changes = app.registry.changes()
        for language in ("lua", "python"):
            bound = {
                "contract": "halves",
                "default": language == name,
                "methods": {"half": language},
            }
            id = f"app:by_{language}"
            data = {"contracts": [bound]}
            changes.update({"id": id, "kind": "contract.binding", "data": data})
        await changes.apply()

    async def counts() -> list[int]:
        statistics = app.functions.statistics
        return [statistics(id).completed for id in ("app:lua", "app:python")]

    for name, expected in (("lua", [1, 0]), ("python", [1, 1]), ("lua", [2, 1])):
        await default(name)
        assert await ask(app, "", {"n": 8}) == {"half": 4}
        assert await counts() == expected
    kind, text, details = await ask(app, "", {"m": 1})
    assert (kind, text) == (
        "Invalid",
        'app:halves.half: argument 1 at /: expected property "n", found {"m": 1}'
        " (schema /required)",
    )
    assert details == {"contract": "app:halves", "method": "half", "argument": 1, "pointer": ""}
    assert await counts() == [2, 1]


@pytest.mark.parametrize("callee", ["app:lua", "app:python", "app:process"])
def test_the_command_line_is_a_caller_too(
    callee: str, write_app: WriteApp, capsys: pytest.CaptureFixture[str]
) -> None:
    """`trio-actors call APP ns:name JSON-args` prints the result as JSON."""
    path = str(write_app(FILES))
    assert run_command(["call", path, callee, '{"n": 8}']) == 0
    assert json.loads(capsys.readouterr().out) == {"half": 4}
    assert run_command(["call", path, callee, '{"n": 7}']) == 1
    assert "Conflict: odd" in capsys.readouterr().err
