"""Errors of functions read as in plain Lua: line of the script, name of the function (Q9)."""

from typing import Any

import pytest

from trio_actors import ProcessError

ERRORS = {
    "table.concat({{}})": "invalid value (table) at index 1 in table for 'concat'",
    "table.insert({}, 5, 1)": "bad argument #2 to 'insert' (position out of bounds)",
    "table.remove({}, 7)": "bad argument #2 to 'remove' (position out of bounds)",
    "table.sort({3, 2, 1, 4, 5}, function(a, b) return a.x end)": "attempt to index a number value "
    "(local 'a')",
    "table.unpack({}, 1, 1e8)": "too many results to unpack",
    "string.rep({}, 1)": "bad argument #1 to 'rep' (string expected, got table)",
    "('x'):byte({})": "bad argument #2 to 'byte' (number expected, got table)",
    "string.format('%d', 'x')": "bad argument #2 to 'format' (number expected, got string)",
    "string.find('x', '[')": "malformed pattern (missing ']')",
    "utf8.char(-1)": "bad argument #1 to 'char' (value out of range)",
    "math.floor('x')": "bad argument #1 to 'floor' (number expected, got string)",
    "setmetatable(1, {})": "bad argument #1 to 'setmetatable' (table expected, got number)",
    "coroutine.resume(1)": "bad argument #1 to 'resume' (coroutine expected, got number)",
    "process.send({}, 't')": "bad argument #1 to 'send' (string expected, got table)",
    "error('mine')": "mine",
}

FORMS = {
    "uncaught": "return function()\n {} end",
    "pcall": "return function() local _, e = pcall(function()\n {} end) error(e, 0) end",
    "xpcall": "return function() local _, e = xpcall(function()\n {} end, "
    "function(e) return e end) error(e, 0) end",
    "coroutine": "return function() local _, e = coroutine.resume(coroutine.create(function()\n {} "
    "end)) error(e, 0) end",
    "wrap": "return function() coroutine.wrap(function()\n {} end)() end",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
async def test_an_error_names_the_line_of_the_script(world: Any, form: str) -> None:
    """Q9: no line of a host file, however the error was caught"""
    for code, text in ERRORS.items():
        with pytest.raises(ProcessError) as caught:
            await world.run(form.replace("{}", code, 1))
        assert caught.value.message == f"app/test.lua:2: {text}"


async def test_an_error_that_the_host_does_not_make_stays(world: Any) -> None:
    """Q9: also if it looks like one of a host file's"""
    source = "return function() local _, e = pcall(error, 'host lines: 7: mine', 0) return e end"
    assert await world.run(source) == "host lines: 7: mine"
    source = "return function() local _, e = pcall(error, {1}) return e[1] end"
    assert await world.run(source) == 1


@pytest.mark.parametrize(
    "source",
    [
        "\nlocal j = require('json') return function() end",
        "return function()\n require('json') end",
        "return function()\n local ok, e = pcall(function() require('json') end) error(e, 0) end",
    ],
)
async def test_a_module_that_is_not_declared_names_the_line(world: Any, source: str) -> None:
    """E2: also at the top of a script, where most of them stand"""
    with pytest.raises(ProcessError) as caught:
        await world.run(source)
    remedy = "; is it missing under modules of the entry?"
    assert caught.value.message == f"app/test.lua:2: module 'json' not found{remedy}"
