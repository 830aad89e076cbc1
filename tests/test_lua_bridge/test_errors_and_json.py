"""The Lua modules `errors`, `json` and `logger`, rule by rule: Q1-Q11, J1-J7, E8."""

import logging
from typing import Any

import pytest

from trio_actors import ErrorKind, ProcessError, make_error

SCRIPTS = {
    "Q1 an error of a text": (
        "local e = errors.new('m') return {e:message(), e:kind(), e:retryable() == nil, "
        "e:details() == nil}",
        ["m", "", True, True],
    ),
    "Q2 an error of a table": (
        "local e = errors.new{message = 'm', kind = errors.TIMEOUT, retryable = false, details = "
        "{a = 1}} "
        "return {e:message(), e:kind(), e:retryable(), e:details().a}",
        ["m", "Timeout", False, 1],
    ),
    "Q2 the message is required, and text": (
        "return {pcall(errors.new, {}) , (pcall(errors.new, {message = 1})), (pcall(errors.new))}",
        [False, False, False],
    ),
    "Q3 retryable has three values": (
        "local out = {} for i, r in ipairs{true, false} do "
        "out[i] = errors.new{message = 'm', retryable = r}:retryable() end return out",
        [True, False],
    ),
    "Q3 details keep tables in tables, and string keys only": (
        "local d = errors.new{message = 'm', details = {a = {b = {1, 2}}, [1] = 'x'}}:details() "
        "return {d.a.b, d[1] == nil}",
        [[1, 2], True],
    ),
    "Q3 empty details are none": (
        "return {errors.new{message = 'm', details = {}}:details() == nil, "
        "errors.new{message = 'm', details = {'x'}}:details() == nil}",
        [True, True],
    ),
    "Q4 wrap keeps everything, its text shows in the stack only": (
        "local e = errors.new{message = 'm', kind = 'Conflict', retryable = true, details = {a = "
        "1}} "
        "local w = errors.wrap(e, 'note') "
        "return {w:message(), w:kind(), w:retryable(), w:details().a, tostring(w), "
        "(w:stack():find('note', 1, true)), e:stack():find('note', 1, true) == nil}",
        ["m", "Conflict", True, 1, "m", 1, True],
    ),
    "Q4 a text can be wrapped": (
        "local w = errors.wrap('m', 'note') return {w:message(), w:kind(), w:retryable() == nil}",
        ["m", "", True],
    ),
    "Q5 is tells exactly that kind": (
        "local e = errors.new{message = 'm', kind = errors.INVALID} "
        "return {errors.is(e, errors.INVALID), errors.is(e, errors.INTERNAL), "
        "errors.is(errors.new('m'), errors.UNKNOWN)}",
        [True, False, True],
    ),
    "Q5 is never raises": (
        "return {errors.is(nil, 'Invalid'), errors.is('Invalid', 'Invalid'), errors.is({}, nil), "
        "errors.is(print, 5), errors.is()}",
        [False] * 5,
    ),
    "Q6 the stack of calls": (
        "local function make()\n local e = errors.new('m')\n return e\n end\n"
        "local e = make()\n"
        "local s = errors.call_stack(e) local f = s.frames[1] "
        "return {type(s.thread), f.level, f.source, f.line, f.name, f.type, s.frames[2].line}",
        ["string", 1, "app/test.lua", 2, "make", "local", 5],
    ),
    "Q6 what is no error has none": (
        "return {errors.call_stack('x') == nil, errors.call_stack() == nil, "
        "errors.call_stack({}) == nil}",
        [True] * 3,
    ),
    "Q7 text of an error, on either side": (
        "local e = errors.new{message = 'm', kind = errors.TIMEOUT} "
        "return {tostring(e), 'a' .. e, e .. 'b', e .. e, 1 .. e}",
        ["m", "am", "mb", "mm", "1m"],
    ),
    "Q8 string functions take an error": (
        "local e = errors.new('file not found') "
        "return {(string.find(e, 'not found')), string.match(e, '^%a+'), string.sub(e, 1, 4), "
        "string.upper(e), string.len(e), (string.gsub(e, 'file', 'key')), string.format('%s!', e)}",
        [6, "file", "file", "FILE NOT FOUND", 14, "key not found", "file not found!"],
    ),
    "Q10 a failure of a module is not retryable": (
        "local v, e = process.send('nobody', 'x', 1) return {v == nil, e:kind(), e:retryable()}",
        [True, "NotFound", False],
    ),
    "Q10 a missing argument is invalid": (
        "local v, e = process.send() return {v == nil, e:kind(), e:retryable()}",
        [True, "Invalid", False],
    ),
    "J1 arrays, objects and numbers": (
        "return {json.encode({1, 'a', true}), json.encode({a = 1}), json.encode(1e20), "
        "json.encode(2.0), "
        "json.encode(-0.5), json.encode(math.maxinteger), json.encode(1e300):find('e') == nil}",
        ['[1,"a",true]', '{"a":1}', "100000000000000000000", "2", "-0.5", "9223372036854775807",
         True],
    ),
    "J2 what stands for null": (
        "return json.encode({0/0, 1/0, -1/0, print, channel.new(), coroutine.create(print)})",
        "[null,null,null,null,null,null]",
    ),
    "J2 a table twice is no cycle": (
        "local t = {1} return json.encode({t, t})",
        "[[1],[1]]",
    ),
    "J3 other keys become text, and nothing is escaped for HTML": (
        "return {json.encode({[true] = 1}), json.encode({[1.5] = 1}), json.encode('<a & b>')}",
        ['{"true":1}', '{"1.5":1}', '"<a & b>"'],
    ),
    "J4 integers stay integers, the last of two keys wins": (
        "local v = json.decode('{\"a\":1,\"a\":2,\"b\":1.0,\"c\":null,\"d\":[]}') "
        "return {v.a, math.type(v.a), math.type(v.b), v.c == nil, #v.d, json.decode('null') == "
        "nil}",
        [2, "integer", "float", True, 0, True],
    ),
    "J4 128 levels are read": (
        "local v, e = json.decode(string.rep('[', 128) .. string.rep(']', 128)) return type(v)",
        "table",
    ),
    "J5 a schema is a table or a text": (
        "return {json.validate({type = 'integer'}, 1), json.validate('{\"type\":\"integer\"}', 1), "
        "(json.validate('{\"type\":\"integer\"}', 'x'))}",
        [True, True, False],
    ),
    "J7 the message has the pointer of the violation": (
        "local ok, e = json.validate({type = 'object', properties = {a = {items = {type = "
        "'integer'}}}}, "
        "{a = {1, 'x'}}) return {ok, e:kind(), e:message():find('/a/1', 1, true) ~= nil}",
        [False, "Invalid", True],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
async def test_promise(world: Any, name: str) -> None:
    """§10 and functions §15: the script returns what the rule says"""
    body, expected = SCRIPTS[name]
    found = await world.run(f"return function() {body} end", modules=("json",))
    assert found == expected


KINDS = {kind.name: kind.value for kind in ErrorKind}


async def test_the_kinds(world: Any) -> None:
    """§10: each constant is the text of its kind, the same ones as in Python"""
    body = """return function(names)
      local kinds = {}
      for i, name in ipairs(names) do kinds[i] = errors[name] end
      return kinds
    end"""
    assert KINDS["UNKNOWN"] == ""
    assert KINDS["NOT_FOUND"] == "NotFound"
    assert await world.run(body, list(KINDS)) == list(KINDS.values())


JSON_REFUSED = [
    ("json.encode({1, a = 2})", "Internal", "keys"),
    ("json.encode({1, nil, 3})", "Internal", "sparse array"),
    ("(function() local t = {} t[1] = t return json.encode(t) end)()", "Internal", "itself"),
    ("(function() local t = {} for _ = 1, 129 do t = {t} end return json.encode(t) end)()",
     "Internal", "nested deeper than 128"),
    ("json.decode(5)", "Invalid", "text expected"),
    ("json.decode(string.rep('[', 129) .. string.rep(']', 129))", "Internal", "128"),
    ("json.decode('{')", "Internal", "position"),
    ("json.decode('1 2')", "Internal", "position"),
    ("json.validate_string({type = 'null'}, 5)", "Invalid", "data must be a JSON string"),
    ("json.validate_string(nil, '1')", "Invalid", "schema is required"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), JSON_REFUSED)
async def test_json_refuses(world: Any, call: str, kind: str, text: str) -> None:
    """J2, J4-J6, Q10"""
    body = f"local v, e = {call} return {{v or false, e:kind(), e:message(), e:retryable()}}"
    value, found, message, retryable = await world.run(
        f"return function() {body} end", modules=("json",)
    )
    assert (value, found, retryable) == (False, kind, False)
    assert text in message


async def test_an_error_crosses_a_boundary(world: Any) -> None:
    """Q11: message, retryable and details survive, the empty kind becomes Internal"""
    body = """return function()
      return nil, errors.new{ message = "m", retryable = true, details = { a = { 1 } } }
    end"""
    with pytest.raises(ProcessError) as caught:
        await world.run(body)
    error = caught.value
    assert (str(error), error.kind, error.retryable) == ("m", ErrorKind.INTERNAL, True)
    assert error.details == {"a": [1]}


async def test_an_error_of_python_reaches_a_script(world: Any) -> None:
    """Q11: with kind, retryable and details"""

    async def fails(ctx: Any) -> None:
        raise make_error(ErrorKind.CONFLICT, "taken", retryable=True, details={"by": ["x"]})

    world.python("app:fails", fails)
    body = """return function()
      local v, e = process.call("app:fails", "app:h")
      return { v == nil, e:message(), e:kind(), e:retryable(), e:details().by }
    end"""
    assert await world.run(body) == [True, "taken", "Conflict", True, ["x"]]


async def test_a_plain_text_raised_is_internal(world: Any) -> None:
    """Q11, E29: and retryable is unknown"""
    with pytest.raises(ProcessError, match="plain") as caught:
        await world.run("return function() error('plain', 0) end")
    assert (caught.value.kind, caught.value.retryable) == (ErrorKind.INTERNAL, None)


async def test_a_logger_keeps_what_it_was_made_with(world: Any, caplog: Any) -> None:
    """Fields add up, later ones win; names are joined; the parent stays as it was"""
    caplog.set_level(logging.DEBUG, "trio_actors.lua")
    body = """return function()
      local one = logger.with({ a = 1, b = 1 }):named("x")
      one:named("y"):with({ b = 2 }):error("inner", { c = 3 })
      one:info("outer", "no table")
      logger.error(nil)
    end"""
    await world.run(body, modules=("logger",))
    found = {r.getMessage(): r for r in caplog.records}
    inner, outer = found["inner"], found["outer"]
    assert (inner.name, inner.levelname, inner.fields) == (
        "trio_actors.lua.x.y", "ERROR", {"a": 1, "b": 2, "c": 3},
    )  # fmt: skip
    assert (outer.name, outer.fields) == (
        "trio_actors.lua.x",
        {"a": 1, "b": 1, "value": "no table"},
    )
    assert outer.entry == "app:test"
    assert found["nil"].levelname == "ERROR"
