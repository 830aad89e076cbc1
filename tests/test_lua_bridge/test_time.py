"""The Lua module `time`, rule by rule: D1-D12."""

from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LOW, HIGH = -(2**63), 2**63 - 1


async def lua(world: Any, body: str, *args: Any) -> Any:
    return await world.run(f"return function(...)\n{body}\nend", *args, modules=("time",))


async def refused(world: Any, call: str) -> str:
    """The message of an INVALID that is not retryable (D11)."""
    body = f"local v, e = {call} return {{v == nil, e:kind(), e:retryable(), e:message()}}"
    nothing, kind, retryable, message = await lua(world, body)
    assert (nothing, kind, retryable) == (True, "Invalid", False)
    return str(message)


@pytest.mark.parametrize("d", ["0", "-1", "-1.5", "'0'", "'-2s'", "time.parse_duration('-1h')"])
async def test_sleeping_for_nothing_returns_at_once(
    world: Any, autojump_clock: Any, d: str
) -> None:
    """D1"""
    before = trio.current_time()
    assert await lua(world, f"return time.sleep({d})") is True
    assert trio.current_time() == before


async def test_sleep_blocks_its_coroutine_only(world: Any, autojump_clock: Any) -> None:
    """D1: another coroutine goes on meanwhile; numbers are nanoseconds, texts and Durations too"""
    body = """
    local done = channel.new(3)
    for _, d in ipairs { 3 * time.SECOND, "2s", time.parse_duration("1s") } do
      coroutine.spawn(function() time.sleep(d) done:send(time.parse_duration(d):seconds()) end)
    end
    return { (done:receive()), (done:receive()), (done:receive()) }
    """
    before = trio.current_time()
    assert await lua(world, body) == [1, 2, 3]
    assert trio.current_time() - before == pytest.approx(3, abs=0.01)


BAD = ["nil", "{}", "true", "'5'", "'abc'", "'1d'", "''", "'1 s'", "0/0", "1/0", "'99999999h'"]


@pytest.mark.parametrize("d", BAD)
@pytest.mark.parametrize("function", ["sleep", "parse_duration"])
async def test_what_is_no_duration_is_invalid(world: Any, function: str, d: str) -> None:
    """D1, D7, D11"""
    assert "invalid duration" in await refused(world, f"time.{function}({d})")


@pytest.mark.parametrize("d", [*BAD, "0", "-1", "'-1s'"])
@pytest.mark.parametrize("function", ["after", "timer", "ticker"])
async def test_timers_need_a_duration_above_zero(world: Any, function: str, d: str) -> None:
    """D2, D3, D4, D11"""
    message = await refused(world, f"time.{function}({d})")
    assert message == f"time.{function}: duration must be > 0"


async def test_stopping_a_timer_tells_whether_it_was_pending(
    world: Any, autojump_clock: Any
) -> None:
    """D3: and closes the channel; nothing comes any more, once stopped it stays so"""
    body = """
    local timer = time.timer("1s")
    local ch, waited = timer:channel(), channel.new(1)
    coroutine.spawn(function() waited:send({ ch:receive() }) end)
    time.sleep(1)
    local first, second = timer:stop(), timer:stop()
    local got = waited:receive()
    local again = timer:reset("1s")
    time.sleep("5s")
    return { first, second, got[1] == nil, got[2], again, (select(2, ch:receive())) }
    """
    assert await lua(world, body) == [True, False, True, False, False, False]


async def test_a_timer_that_fired_can_be_set_again(world: Any, autojump_clock: Any) -> None:
    """D3: reset says that it was not pending; each firing is one Time of its moment"""
    body = """
    local start, timer = time.now(), time.timer("1s")
    local one = timer:response():receive()
    local pending = timer:reset("2s")
    local two = timer:channel():receive()
    return { pending, one:sub(start):seconds(), two:sub(start):seconds() }
    """
    world.node.wall_time = trio.current_time
    pending, one, two = await lua(world, body)
    assert pending is False
    assert (one, two) == (pytest.approx(1, abs=0.01), pytest.approx(3, abs=0.01))


@pytest.mark.parametrize("d", [*BAD, "0", "-1"])
async def test_reset_raises_for_what_is_no_duration(
    world: Any, autojump_clock: Any, d: str
) -> None:
    """D3: and leaves the timer as it was"""
    body = f"""
    local timer = time.timer("1s")
    local ok, text = pcall(timer.reset, timer, {d})
    return {{ ok, text, (select(2, timer:channel():receive())) }}
    """
    ok, text, fired = await lua(world, body)
    assert (ok, fired) == (False, True)
    assert "duration must be > 0" in text


async def test_a_stopped_ticker_ticks_no_more(world: Any, autojump_clock: Any) -> None:
    """D4: stop is true each time, and closes; what is buffered can still be read (H6)"""
    body = """
    local ticker = time.ticker("1s")
    time.sleep("2500ms")
    local first, second = ticker:stop(), ticker:stop()
    time.sleep("5s")
    local ch, kept = ticker:channel(), 0
    while select(2, ch:receive()) do kept = kept + 1 end
    return { first, second, kept, ch == ticker:response() }
    """
    assert await lua(world, body) == [True, True, 2, True]


async def test_a_time_is_local_unless_a_zone_is_named(world: Any) -> None:
    """D5, D6: of now, unix, date, and of a text without zone"""
    body = """
    local at = { time.now(), time.unix(0), time.date(2024, 1, 2, 3, 4, 5, 6),
      time.parse(time.DATE_ONLY, "2024-01-02") }
    local zone, names = time.fixed_zone("X", -5400), {}
    at[5] = time.date(2024, 1, 2, 3, 4, 5, 6, zone)
    at[6] = time.parse(time.DATE_ONLY, "2024-01-02", zone)
    at[7] = time.parse(time.RFC3339, "2024-01-02T00:00:00Z", zone)
    for i, t in ipairs(at) do names[i] = t:location():string() end
    return { names, at[5]:unix_nano(), at[6]:unix(), at[7]:unix() }
    """
    names, date, parsed, said = await lua(world, body)
    assert names == ["Local"] * 4 + ["X", "X", "UTC"]
    assert date == (1_704_164_645 + 5400) * 10**9 + 6
    assert (parsed, said) == (1_704_153_600 + 5400, 1_704_153_600)


async def test_locations_tell_their_name(world: Any) -> None:
    """D8, D9: by `:string()` and tostring"""
    body = """
    local out = {}
    for i, at in ipairs { time.utc, time.localtz, time.fixed_zone("Mars", 60),
      time.load_location("Europe/Berlin"), time.load_location("UTC"),
      time.load_location("Local") } do
      assert(at:string() == tostring(at))
      out[i] = at:string()
    end
    return out
    """
    assert await lua(world, body) == ["UTC", "Local", "Mars", "Europe/Berlin", "UTC", "Local"]


MISSING = [
    ("unix()", "seconds"),
    ("date()", "year"),
    ("parse()", "layout"),
    ("parse('2006')", "text"),
    ("load_location()", "name"),
    ("fixed_zone()", "name"),
    ("fixed_zone('X')", "seconds"),
]


@pytest.mark.parametrize(("call", "name"), MISSING)
async def test_a_missing_argument_is_invalid(world: Any, call: str, name: str) -> None:
    """Q10, D11: no raise, an Error that names it"""
    message = await refused(world, f"time.{call}")
    assert message == f"time.{call.partition('(')[0]} requires a {name} argument"


WRONG = ["unix({})", "unix(1.5)", "date('x')", "parse({}, 'x')", "load_location({})",
         "fixed_zone('X', 'y')", "date(1, 1, 1, 0, 0, 0, 0, 'UTC')"]  # fmt: skip


@pytest.mark.parametrize("call", WRONG)
async def test_an_argument_of_a_wrong_type_raises(world: Any, call: str) -> None:
    """Q10"""
    body = f"local ok, text = pcall(function() return time.{call} end) return {{ok, text}}"
    ok, text = await lua(world, body)
    assert ok is False
    assert "bad argument" in text


MOMENT = "time.date(2024, 2, 29, 23, 5, 7, 123456789, time.fixed_zone('X', 5400))"
METHODS = [
    ("t:add(1500000000):format('04:05.000')", "05:08.623"),
    ("t:add('-1h'):hour()", 22),
    ("t:add(time.parse_duration('1h')):day()", 1),
    ("t:sub(t:add('-90s')):nanoseconds()", 90 * 10**9),
    ("tostring(t:add_date(1, 0, 0):utc())", "2025-03-01 21:35:07.123456789 +0000 UTC"),
    ("t:add_date(0, -1, 1):format(time.DATE_ONLY)", "2024-01-30"),
    ("{t:before(t), t:before(t:add(1)), t:before(t:add(-1))}", [False, True, False]),
    ("{t:after(t), t:after(t:add(1)), t:after(t:add(-1))}", [False, False, True]),
    ("{t:equal(t:utc()), t:equal(t:add(1))}", [True, False]),
    ("t:format('Mon 2 Jan 2006 -07:00 MST')", "Thu 29 Feb 2024 +01:30 X"),
    ("t:format_rfc3339()", "2024-02-29T23:05:07+01:30"),
    ("t:unix()", 1_709_242_507),
    ("t:unix_nano()", 1_709_242_507_123_456_789),
    ("{t:date()}", [2024, 2, 29]),
    ("{t:clock()}", [23, 5, 7]),
    ("{t:year(), t:month(), t:day()}", [2024, 2, 29]),
    ("{t:hour(), t:minute(), t:second(), t:nanosecond()}", [23, 5, 7, 123_456_789]),
    ("{t:weekday(), t:year_day()}", [4, 60]),
    ("{t:is_zero(), time.date(1, 1, 1, 0, 0, 0, 0, time.utc):is_zero()}", [False, True]),
    ("{t:utc():hour(), t:utc():location():string()}", [21, "UTC"]),
    ("{t:in_local():equal(t), t:in_local():location():string()}", [True, "Local"]),
    ("t:in_location(time.load_location('Asia/Tokyo')):format('2 15 MST')", "1 06 JST"),
    ("t:location():string()", "X"),
    ("t:round(time.parse_duration('1m')):format('15:04:05.999')", "23:05:00"),
    ("t:round('10s'):format('15:04:05.999')", "23:05:10"),
    ("t:truncate(time.parse_duration('1s')):nanosecond()", 0),
    ("{t:round(0):equal(t), t:truncate(-1):equal(t)}", [True, True]),
]


@pytest.mark.parametrize(("expression", "value"), METHODS)
async def test_what_a_time_can_tell(world: Any, expression: str, value: Any) -> None:
    """D10: each method, in the zone of its Time"""
    assert await lua(world, f"local t = {MOMENT} return {expression}") == value


@pytest.mark.parametrize("call", ["add('x')", "round('x')", "truncate({})"])
async def test_a_time_refuses_what_is_no_duration(world: Any, call: str) -> None:
    """D10, D11"""
    assert "invalid duration" in await refused(world, f"{MOMENT}:{call}")


async def test_a_duration_in_every_unit(world: Any) -> None:
    """D11: integers are cut towards zero, the rest are floats; text in the usual form"""
    body = """
    local out = {}
    for i, x in ipairs { "1h30m", "-1999999ns" } do
      local d = time.parse_duration(x)
      out[i] = { d:nanoseconds(), d:microseconds(), d:milliseconds(), d:seconds(), d:minutes(),
        d:hours(), tostring(d), math.type(d:hours()), math.type(d:milliseconds()) }
    end
    return out
    """
    long, short = await lua(world, body)
    assert long == [5400 * 10**9, 5_400_000_000, 5_400_000, 5400.0, 90.0, 1.5, "1h30m0s",
                    "float", "integer"]  # fmt: skip
    assert short[:4] == [-1_999_999, -1999, -1, pytest.approx(-0.001999999)]
    assert short[6] == "-1.999999ms"


CONSTANTS = {
    "NANOSECOND": 1, "MICROSECOND": 10**3, "MILLISECOND": 10**6, "SECOND": 10**9,
    "MINUTE": 60 * 10**9, "HOUR": 3600 * 10**9,
    "JANUARY": 1, "FEBRUARY": 2, "MARCH": 3, "APRIL": 4, "MAY": 5, "JUNE": 6, "JULY": 7,
    "AUGUST": 8, "SEPTEMBER": 9, "OCTOBER": 10, "NOVEMBER": 11, "DECEMBER": 12,
    "SUNDAY": 0, "MONDAY": 1, "TUESDAY": 2, "WEDNESDAY": 3, "THURSDAY": 4, "FRIDAY": 5,
    "SATURDAY": 6,
}  # fmt: skip
LAYOUTS = {
    "RFC3339": "2024-02-09T15:05:07+01:30",
    "RFC3339NANO": "2024-02-09T15:05:07.12345678+01:30",
    "RFC822": "09 Feb 24 15:05 X",
    "RFC822Z": "09 Feb 24 15:05 +0130",
    "RFC850": "Friday, 09-Feb-24 15:05:07 X",
    "RFC1123": "Fri, 09 Feb 2024 15:05:07 X",
    "RFC1123Z": "Fri, 09 Feb 2024 15:05:07 +0130",
    "DATE_TIME": "2024-02-09 15:05:07",
    "DATE_ONLY": "2024-02-09",
    "TIME_ONLY": "15:05:07",
    "KITCHEN": "3:05PM",
    "STAMP": "Feb  9 15:05:07",
    "STAMP_MILLI": "Feb  9 15:05:07.123",
    "STAMP_MICRO": "Feb  9 15:05:07.123456",
    "STAMP_NANO": "Feb  9 15:05:07.123456780",
}


async def test_the_constants(world: Any) -> None:
    """D12: numbers, and layouts by what they show of a moment"""
    body = """
    local names, layouts = ...
    local t = time.date(2024, 2, 9, 15, 5, 7, 123456780, time.fixed_zone("X", 5400))
    local numbers, shown = {}, {}
    for i, name in ipairs(names) do numbers[i] = time[name] end
    for i, name in ipairs(layouts) do shown[i] = t:format(time[name]) end
    return { numbers, shown }
    """
    numbers, shown = await lua(world, body, list(CONSTANTS), list(LAYOUTS))
    assert dict(zip(CONSTANTS, numbers, strict=True)) == CONSTANTS
    assert dict(zip(LAYOUTS, shown, strict=True)) == LAYOUTS


@pytest.mark.parametrize("pm", ["AM", "PM"])
async def test_twelve_and_zero_are_the_same_hour(world: Any, pm: str) -> None:
    """D6: of a clock with AM and PM"""
    body = f"return time.parse('3:04PM', '...:30{pm}'):hour()"
    hours = [await lua(world, body.replace("...", hour)) for hour in ("0", "12")]
    assert hours == ([0, 0] if pm == "AM" else [12, 12])


async def test_a_long_duration_is_read_whole_or_refused(world: Any) -> None:
    """D7: never the sum of its beginning"""
    body = """
    local short = time.parse_duration(string.rep("1s", 2000))
    local long, err = time.parse_duration(string.rep("1s", 3000))
    return { short:seconds(), long == nil, err:kind() }
    """
    assert await lua(world, body) == [2000, True, "Invalid"]


SECONDS = st.integers(-(2**40), 2**40) | st.sampled_from([0, 9_223_372_036, -9_223_372_037])
NANOS = st.integers(0, 10**9 - 1) | st.sampled_from(
    [0, 1, 145_224_191, 145_224_192, 854_775_807, 854_775_808, 10**9 - 1]
)
MOMENTS = st.tuples(SECONDS, NANOS)
ARITHMETIC = """
local out = {}
for i, row in ipairs((...)) do
  local t, u, d = time.unix(row[1], row[2]):utc(), time.unix(row[3], row[4]), row[5]
  local later, cut, near = t:add(d), t:truncate(d), t:round(d)
  local between = t:sub(u)
  out[i] = { between:nanoseconds(), between:microseconds(), between:milliseconds(), t:before(u),
    later:unix(), later:nanosecond(), cut:unix(), cut:nanosecond(), near:unix(), near:nanosecond() }
end
return out
"""


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(MOMENTS, MOMENTS, st.integers(LOW, HIGH) | st.integers(-5, 10**12)),
        min_size=20,
        max_size=60,
    )
)
async def test_arithmetic_is_that_of_whole_numbers(open_world: Any, rows: Any) -> None:
    """Property (D10, D11): of nanoseconds; sub ends at the largest Duration, units cut to zero"""
    async with open_world() as world:
        found = await lua(world, ARITHMETIC, [[*t, *u, d] for t, u, d in rows])
    for (t, u, d), got in zip(rows, found, strict=True):
        at, other = (sec * 10**9 + ns for sec, ns in (t, u))
        between = min(HIGH, max(LOW, at - other))
        sign = -1 if between < 0 else 1
        of_year_one = at + 62_135_596_800 * 10**9
        over = of_year_one % d if d > 0 else 0
        up = d - over if d > 0 and over >= d - over else -over
        assert got == [
            between,
            sign * (abs(between) // 1000),
            sign * (abs(between) // 10**6),
            at < other,
            *divmod(at + d, 10**9),
            *divmod(at - over, 10**9),
            *divmod(at + up, 10**9),
        ]
