"""The Lua modules time, errors, json, os, math, logger and ctx inside a sandbox."""

import logging
from typing import Any

import pytest
import trio

from trio_actors import ProcessInvalid

MODULES = ("time", "json", "ctx", "logger")


async def lua(world: Any, body: str) -> Any:
    return await world.run(f"return function()\n{body}\nend", modules=MODULES)


TIMES = [
    ("time.unix(0, -1):utc()", "1969-12-31 23:59:59.999999999 +0000 UTC"),
    ("time.date(2024, 14, -3, 25, 61, 61, 0, time.utc)", "2025-01-29 02:02:01 +0000 UTC"),
    ("time.date(2024, 1, 31, 0, 0, 0, 0, time.utc):add_date(0, 1, 0)",
     "2024-03-02 00:00:00 +0000 UTC"),
    ("time.unix(1700000000, 250000000):utc():add('1h30m')", "2023-11-14 23:43:20.25 +0000 UTC"),
    ("time.unix(1700000000):utc():truncate('1h')", "2023-11-14 22:00:00 +0000 UTC"),
    ("time.unix(1700000000):utc():round(24 * time.HOUR)", "2023-11-15 00:00:00 +0000 UTC"),
    ("time.parse(time.RFC3339, '2024-02-29T10:00:00+05:30')", "2024-02-29 10:00:00 +0530 +0530"),
    ("time.parse('2006-01-02', '2024-07-01', time.load_location('Europe/Berlin'))",
     "2024-07-01 00:00:00 +0200 CEST"),
    ("time.unix(0):in_location(time.fixed_zone('X', 3600))", "1970-01-01 01:00:00 +0100 X"),
    ("time.unix(1700000000):sub(time.unix(0))", "472222h13m20s"),
    ("time.parse_duration(1.5 * time.SECOND)", "1.5s"),
    ("time.date(1, 1, 1, 0, 0, 0, 0, time.utc):is_zero()", "true"),
    ("time.unix(1700000000):utc():format(time.KITCHEN)", "10:13PM"),
    ("time.unix(1700000000):utc():weekday() .. ' ' .. time.unix(1700000000):utc():year_day()",
     "2 318"),
    ("time.unix(5) == time.unix(5) and time.unix(5) < time.unix(6)", "true"),
    ("time.localtz", "Local"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "shown"), TIMES)
async def test_times_and_durations(world: Any, expression: str, shown: str) -> None:
    """D5-D11: arithmetic, zones, layouts, text."""
    assert await lua(world, f"return tostring({expression})") == shown


NESTED = """local function nested(depth)
      local t = {}
      for _ = 2, depth do t = {t} end
      return t
    end"""
FAILURES = [
    ("time.parse_duration('5')", "Invalid", "invalid duration format: 5"),
    ("time.sleep({})", "Invalid", "invalid duration"),
    ("time.after(0)", "Invalid", "time.after: duration must be > 0"),
    ("time.parse('2006', 'x')", "Invalid", "expected year (4 digits), found 'x'"),
    ("time.load_location('')", "Invalid", "location name cannot be empty"),
    ("time.load_location('No/Where')", "NotFound", "unknown location: No/Where"),
    ("json.encode({1, 2, [5] = 1})", "Internal", "sparse array"),
    ("json.decode('[1,]')", "Internal", "at position 4: value expected, found ']'"),
    ("json.decode('')", "Invalid", "the text is empty"),
    ("json.validate(nil, 1)", "Invalid", "schema is required"),
    ("json.validate({type = 'object'}, nil)", "Invalid", "data is required"),
    ("json.validate({type = 'integer'}, 'x')", "Invalid", "expected integer"),
    ("json.validate({type = 'object'}, print)", "Invalid", "data is required"),
    ("json.validate(true, 1)", "Invalid", "schema must be a table or JSON text, got boolean"),
    ("json.validate('{\"type\":', 1)", "Invalid", "schema is not JSON"),
    ("json.validate({['$ref'] = 'https://example.com/s'}, 1)", "Invalid", "not fetched"),
    (
        "json.validate({properties = {a = {type = 'string'}}}, {a = 1})",
        "Invalid",
        "at /a: expected string, found 1 (schema /properties/a/type)",
    ),
    ("json.validate_string({type = 'object'}, nil)", "Invalid", "data must be a JSON string"),
    ("json.validate_string({type = 'object'}, {})", "Invalid", "data must be a JSON string"),
    ("json.validate_string({}, '{\"a\":')", "Invalid", "data is not JSON"),
    ("json.validate_string({}, '[NaN]')", "Invalid", "data is not JSON: NaN is no JSON value"),
    ("json.validate_string({}, '-Infinity')", "Invalid", "-Infinity is no JSON value"),
    ("json.validate_string(nil, '1')", "Invalid", "schema is required"),
    ("json.encode({1, a = 2})", "Internal", "table has both integer keys and other keys"),
    ("json.encode({1, nil, 3})", "Internal", "sparse array"),
    (
        "(function() local t = {} t.t = t return json.encode(t) end)()",
        "Internal",
        "table refers to itself",
    ),
    ("json.encode(nested(129))", "Internal", "nested deeper than 128"),
    (
        "json.decode(string.rep('[', 129) .. string.rep(']', 129))",
        "Internal",
        "nested deeper than 128",
    ),
    ("json.decode(12)", "Invalid", "text expected, got number"),
    ("json.decode(nil)", "Invalid", "text expected, got no value"),
    ("json.decode('1 2')", "Internal", "end of the text expected"),
    ("json.decode('NaN')", "Internal", "value expected"),
    ("ctx.get('')", "Invalid", "empty key"),
    ("ctx.get('nothing')", "NotFound", "key not found: nothing"),
]


@pytest.mark.parametrize(("call", "kind", "text"), FAILURES)
async def test_failures_are_errors_with_a_kind(world: Any, call: str, kind: str, text: str) -> None:
    """Q10, D11: nil (or false) and an Error that is not retryable."""
    body = f"""{NESTED}
    local v, e = {call}; return {{e:kind(), e:message(), e:retryable(), v or false}}"""
    found = await lua(world, body)
    assert found[0] == kind
    assert text in found[1]
    assert found[2:] == [False, False]


JSON = [
    ("{}", "[]"),
    ("nil", "null"),
    ("1e15", "1000000000000000"),
    ("0/0", "null"),
    ("print", "null"),
    ("errors.new('bad')", '"bad"'),
    ("'a\\n\"\\1'", '"a\\n\\"\\u0001"'),
    ("{1, {a = true}}", '[1,{"a":true}]'),
    ("{1.0, 2.5, -3}", "[1,2.5,-3]"),
    ("{[true] = 1}", '{"true":1}'),
    ("{[1.5] = 1}", '{"1.5":1}'),
    ("{1 / 0, print, channel.new(1), errors.new('m')}", '[null,null,null,"m"]'),
    ("'<>&/'", '"<>&/"'),
    ("(function() local t = {1} return {t, t} end)()", "[[1],[1]]"),
    ("#json.encode(nested(128))", "256"),
]


@pytest.mark.parametrize(("value", "text"), JSON)
async def test_json_encodes(world: Any, value: str, text: str) -> None:
    """J1-J3; a table that occurs twice is no cycle."""
    assert await lua(world, f"{NESTED} return json.encode({value})") == text


async def test_json_decodes_and_validates(world: Any) -> None:
    """J4-J7: integers stay integers, an empty table is array and object."""
    body = r"""
    local v = json.decode('{"a":[1,2.5,"\\u00e9\\ud83d\\ude00"],"b":null}')
    assert(math.type(v.a[1]) == "integer" and v.b == nil and v.a[3] == "é😀")
    for _, kind in ipairs { "object", "array" } do assert(json.validate({ type = kind }, {})) end
    assert(json.validate_string('{"type":"null"}', "null"))
    local ok = json.validate_string({ type = "object", properties = {} }, "[]")
    return ok
    """
    assert await lua(world, body) is False


async def test_json_decodes_what_it_should(world: Any) -> None:
    """J4: null is nil, the last of duplicate keys wins, and 128 levels are read."""
    body = """
    local a = json.decode('{"a":1,"a":2,"b":1,"b":null}')
    local n = json.decode('[9223372036854775807, 9223372036854775808, 1.0, null, 5]')
    local deep = json.decode(string.rep('[', 128) .. string.rep(']', 128))
    return { a.a, a.b == nil, math.type(n[1]), math.type(n[2]), math.type(n[3]), n[4] == nil, n[5],
      type(deep), json.decode('null') == nil, select(2, json.decode('null')) == nil }
    """
    assert await lua(world, body) == [
        2, True, "integer", "float", "float", True, 5, "table", True, True,
    ]  # fmt: skip


SCHEMA_TABLES = [
    "{type = 'object', properties = {type = {type = 'object', properties = {}}}}, {type = {}}",
    "{properties = {required = {}, default = {}}, required = {}}, {required = 1}",
    "{dependentRequired = {}, dependentSchemas = {}, properties = {}}, {}",
    "{dependentRequired = {a = {}}, ['$defs'] = {enum = {}}}, {a = 1}",
    "{anyOf = {{type = 'object'}, {type = 'null'}}}, {}",
    "{allOf = {{}, {properties = {}}}}, {}",
    "{}, 1",
]


@pytest.mark.parametrize("arguments", SCHEMA_TABLES)
async def test_empty_tables_in_a_schema_are_what_the_schema_language_wants(
    world: Any, arguments: str
) -> None:
    """J5, J7: also below properties that are called like keywords."""
    assert await lua(world, f"return json.validate({arguments})") is True


async def test_errors_keep_their_fields_and_tell_where(world: Any) -> None:
    """Q1-Q8: wrap keeps the error, the stack has the script's lines."""
    body = """
    local e = errors.new { message = "boom", kind = errors.CONFLICT, details = { a = 1, [2] = 3 } }
    local w = errors.wrap(e, "while loading")
    assert(errors.is(w, errors.CONFLICT) and not errors.is("x", errors.CONFLICT))
    assert(tostring(w) == "boom" and "a" .. w .. e == "aboomboom" and string.find(w, "oo") == 2)
    assert(w:details().a == 1 and w:details()[2] == nil and w:retryable() == nil)
    return { w:stack(), errors.call_stack(w).frames[1].line }
    """
    stack, line = await lua(world, body)
    assert stack.startswith("while loading\n  app/test.lua:4")
    assert "caused by: boom\n  app/test.lua:3" in stack
    assert line == 4


async def test_timers_and_tickers(world: Any, autojump_clock: Any) -> None:
    """D1-D4: one Time, stop and reset, ticks without drift, 16 kept."""
    body = """
    local start, got = time.now(), {}
    time.sleep("2s")
    local after = time.after("1s")
    assert(after:receive() and select(2, after:receive()) == false)
    local timer = time.timer("1s")
    assert(timer:channel() == timer:response() and timer:reset("3s") == true)
    timer:channel():receive()
    assert(timer:stop() == false and not pcall(timer.reset, timer, 0))
    local ticker = time.ticker("500ms")
    for i = 1, 4 do ticker:channel():receive() end
    time.sleep("60s")
    local kept, case = 0, ticker:channel():case_receive()
    while not channel.select({ case }, true).default do kept = kept + 1 end
    assert(ticker:stop() and select(2, ticker:channel():receive()) == false)
    return kept
    """
    before = trio.current_time()
    assert await lua(world, body) == 16
    assert trio.current_time() - before == pytest.approx(68, abs=0.01)


async def test_time_and_random_come_from_the_node(world: Any) -> None:
    """TS3: the wall clock, and a generator for each process."""
    world.node.rng.seed(7)
    body = "return {os.time() - time.now():unix(), math.random(1, 1000000), math.random() < 1}"
    first = await lua(world, body)
    world.node.rng.seed(7)
    assert await lua(world, body) == first
    assert first[0] in (0, -1)


async def test_print_and_logger_reach_logging(world: Any, caplog: Any) -> None:
    """E8: one info line; fields, names and levels."""
    caplog.set_level(logging.DEBUG, "trio_actors.lua")
    body = """
    print(1, nil, errors.new("e"), setmetatable({}, { __tostring = function() error("x") end }))
    logger.with({ a = 1 }):named("sub"):warn("careful", { b = { print } })
    logger:debug("dot or colon")
    """
    await lua(world, body)
    found = [(r.levelname, r.name, r.getMessage()) for r in caplog.records]
    assert ("INFO", "trio_actors.lua", "1 nil e table") in found
    assert ("WARNING", "trio_actors.lua.sub", "careful") in found
    assert ("DEBUG", "trio_actors.lua", "dot or colon") in found
    assert next(r.fields["a"] for r in caplog.records if r.getMessage() == "careful") == 1


async def test_a_wrong_argument_type_names_the_line(world: Any) -> None:
    """Q10: wrong types raise, at the script's line."""
    with pytest.raises(Exception, match=r"app/test.lua:2: bad argument #1 to 'sub'"):
        await lua(world, "local d = time.now():sub(5)")


async def test_an_unknown_module_is_refused(world: Any) -> None:
    """E2."""
    with pytest.raises(ProcessInvalid, match="tiem"):
        await world.run("return function() end", modules=("tiem",))
