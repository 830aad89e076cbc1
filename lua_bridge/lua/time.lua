-- time (processes.md 9.4, D1-D12): durations, moments, zones, sleeping, timers.
--
-- A Duration is nanoseconds in a 64-bit integer, a Time is unix seconds + nanoseconds + Location.
-- Arithmetic, comparison and the calendar are computed here; Python formats and reads texts and
-- knows the zones, and only numbers and strings go there. Arithmetic beyond 64 bits wraps.
local H, py = ...
local raw = H.raw
local type, mtype, toint, floor = raw.type, raw.math.type, raw.math.tointeger, raw.math.floor
local pcall = raw.pcall
local fail, of, new, text = H.fail, H.of, H.new, H.text_argument

local BILLION = 1000000000
local MININT, MAXINT = raw.math.mininteger, raw.math.maxinteger
local YEAR_ONE = -62135596800
local TICKS = 16 -- D4

local M = {
  NANOSECOND = 1, MICROSECOND = 1000, MILLISECOND = 1000000, SECOND = BILLION,
  MINUTE = 60 * BILLION, HOUR = 3600 * BILLION,
  RFC3339 = "2006-01-02T15:04:05Z07:00", RFC3339NANO = "2006-01-02T15:04:05.999999999Z07:00",
  RFC822 = "02 Jan 06 15:04 MST", RFC822Z = "02 Jan 06 15:04 -0700",
  RFC850 = "Monday, 02-Jan-06 15:04:05 MST",
  RFC1123 = "Mon, 02 Jan 2006 15:04:05 MST", RFC1123Z = "Mon, 02 Jan 2006 15:04:05 -0700",
  DATE_TIME = "2006-01-02 15:04:05", DATE_ONLY = "2006-01-02", TIME_ONLY = "15:04:05",
  KITCHEN = "3:04PM", STAMP = "Jan _2 15:04:05", STAMP_MILLI = "Jan _2 15:04:05.000",
  STAMP_MICRO = "Jan _2 15:04:05.000000", STAMP_NANO = "Jan _2 15:04:05.000000000",
}
for i, name in raw.ipairs { "JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY",
  "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER", "DECEMBER" } do M[name] = i end
for i, name in raw.ipairs { "SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY",
  "SATURDAY" } do M[name] = i - 1 end

local Duration, Location, Time, Timer, Ticker = {}, {}, {}, {}, {}
local DurationMT, LocationMT, TimeMT = {}, {}, {} -- metamethods, then classes below

local function integer(v, n, fn, default)
  if v == nil and default then return default end
  local i = mtype(v) and toint(v)
  if not i then H.argerror(n, fn, "integer", v) end
  return i
end

-- A required argument that is missing is no wrong type: the function fails, it does not raise (Q10).
local function missing(fn, argument) return fail("Invalid", "time." .. fn .. " requires a " .. argument .. " argument") end

-- ---------------------------------------------------------------------------------- durations
local DurationClass, LocationClass, TimeClass, TimerClass, TickerClass

local function duration(ns) return new(DurationClass, { ns = ns }) end

-- Nanoseconds of a number, a string or a Duration; nil and an Error for anything else.
local function nanos(v)
  local kind = mtype(v)
  if kind == "integer" then return v end
  if kind == "float" and v > -9.2e18 and v < 9.2e18 then return toint(floor(v)) end
  if type(v) == "string" then return py.parse_duration(v) end
  local state = of(v, DurationClass)
  if state then return state.ns end
  return fail("Invalid", "invalid duration: expected nanoseconds, text such as \"1.5s\" or a Duration, got "
    .. (kind and raw.tostring(v) or H.typename(v)))
end

function M.parse_duration(v)
  local ns, err = nanos(v)
  if not ns then return nil, err end
  return duration(ns)
end

local function ns_of(self, method) return H.self(self, DurationClass, method).ns end
local function quotient(ns, unit) return ns < 0 and ns % unit > 0 and ns // unit + 1 or ns // unit end

function Duration:nanoseconds() return ns_of(self, "nanoseconds") end
function Duration:microseconds() return quotient(ns_of(self, "microseconds"), 1000) end
function Duration:milliseconds() return quotient(ns_of(self, "milliseconds"), 1000000) end
function Duration:seconds() return ns_of(self, "seconds") / BILLION end
function Duration:minutes() return ns_of(self, "minutes") / (60 * BILLION) end
function Duration:hours() return ns_of(self, "hours") / (3600 * BILLION) end
function DurationMT.__tostring(self) return py.format_duration(ns_of(self, "tostring")) end
function DurationMT.__eq(a, b)
  local x, y = of(a, DurationClass), of(b, DurationClass)
  return x ~= nil and y ~= nil and x.ns == y.ns
end
function DurationMT.__lt(a, b) return ns_of(a, "<") < ns_of(b, "<") end
function DurationMT.__le(a, b) return ns_of(a, "<=") <= ns_of(b, "<=") end
DurationClass = H.class("time.Duration", Duration, DurationMT)

-- ---------------------------------------------------------------------------------- locations
function Location:string() return H.self(self, LocationClass, "string").name end
function LocationMT.__tostring(self) return H.self(self, LocationClass, "tostring").name end
LocationClass = H.class("time.Location", Location, LocationMT)

-- zone: looked up in Python by name; else offset and name are constant.
local function location(zone, name, offset) return new(LocationClass, { zone = zone, name = name, offset = offset }) end
M.utc, M.localtz = location(false, "UTC", 0), location(true, "Local", 0)

local function check_location(v, n, fn, default)
  if v == nil and default then return default end
  if not of(v, LocationClass) then H.argerror(n, fn, "time.Location", v) end
  return v
end

function M.load_location(name)
  if name == nil then return missing("load_location", "name") end
  name = text(name, 1, "load_location")
  if name == "UTC" then return M.utc end
  if name == "Local" then return M.localtz end
  local found, err = py.find_zone(name)
  if not found then return nil, err end
  return location(true, name, 0)
end

function M.fixed_zone(name, seconds)
  if name == nil then return missing("fixed_zone", "name") end
  if seconds == nil then return missing("fixed_zone", "seconds") end
  return location(false, text(name, 1, "fixed_zone"), integer(seconds, 2, "fixed_zone"))
end

-- Offset and abbreviation at an instant; offset of a wall-clock time given as if it were UTC.
local function offset_at(loc, sec)
  if loc.zone then return py.zone_offset(loc.name, sec) end
  return loc.offset, loc.name
end
local function offset_of_civil(loc, sec)
  if loc.zone then return (py.zone_offset_of_civil(loc.name, sec)) end
  return loc.offset
end

-- ----------------------------------------------------------------------------------- calendar
local function days_from_civil(y, m, d)
  if m <= 2 then y = y - 1 end
  local era = y // 400
  local yoe = y - era * 400
  local doy = (153 * ((m + 9) % 12) + 2) // 5 + d - 1
  return era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468
end

local function civil_from_days(z)
  z = z + 719468
  local era = z // 146097
  local doe = z - era * 146097
  local yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
  local doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
  local mp = (5 * doy + 2) // 153
  local m = mp < 10 and mp + 3 or mp - 9
  local y = yoe + era * 400
  if m <= 2 then y = y + 1 end
  return y, m, doy - (153 * mp + 2) // 5 + 1
end

local function make(sec, nsec, loc)
  return new(TimeClass, { sec = sec + nsec // BILLION, nsec = nsec % BILLION, loc = loc })
end

-- Any field may be out of its range: the next larger one takes the rest (32 January = 1 February).
local function make_civil(y, mo, d, h, mi, s, ns, loc)
  y, mo = y + (mo - 1) // 12, (mo - 1) % 12 + 1
  local sec = (days_from_civil(y, mo, 1) + d - 1) * 86400 + h * 3600 + mi * 60 + s + ns // BILLION
  return make(sec - offset_of_civil(of(loc, LocationClass), sec), ns % BILLION, loc)
end

function M.now()
  local ns = H.wall()
  return new(TimeClass, { sec = ns // BILLION, nsec = ns % BILLION, loc = M.localtz })
end

function M.unix(sec, nsec)
  if sec == nil then return missing("unix", "seconds") end
  return make(integer(sec, 1, "unix"), integer(nsec, 2, "unix", 0), M.localtz)
end

function M.date(y, mo, d, h, mi, s, ns, loc)
  if y == nil then return missing("date", "year") end
  return make_civil(integer(y, 1, "date"), integer(mo, 2, "date", 1), integer(d, 3, "date", 1),
    integer(h, 4, "date", 0), integer(mi, 5, "date", 0), integer(s, 6, "date", 0),
    integer(ns, 7, "date", 0), check_location(loc, 8, "date", M.localtz))
end

function M.parse(layout, value, loc)
  if layout == nil then return missing("parse", "layout") end
  if value == nil then return missing("parse", "text") end
  layout, value = text(layout, 1, "parse"), text(value, 2, "parse")
  loc = check_location(loc, 3, "parse", M.localtz)
  local at = of(loc, LocationClass)
  local sec, nsec, zone, offset = py.parse_time(layout, value, at.zone, at.name, at.offset)
  if not sec then return nil, nsec end
  if zone == "UTC" and offset == 0 then loc = M.utc elseif zone then loc = location(false, zone, offset) end
  return make(sec, nsec, loc)
end

-- --------------------------------------------------------------------------------------- Time
local function state(self, method) return H.self(self, TimeClass, method) end

local function other(v, method)
  local t = of(v, TimeClass)
  if not t then H.argerror(1, method, "time.Time", v) end
  return t
end

-- Days since 1970 and second of the day in the Time's own zone.
local function civil(self, method)
  local t = state(self, method)
  local sec = t.sec + (offset_at(of(t.loc, LocationClass), t.sec))
  return sec // 86400, sec % 86400, t
end

function Time:add(d)
  local t = state(self, "add")
  local ns, err = nanos(d)
  if not ns then return nil, err end
  return make(t.sec + ns // BILLION, t.nsec + ns % BILLION, t.loc)
end

-- Differences beyond 292 years are cut off at the largest and smallest Duration.
function Time:sub(v)
  local t, u = state(self, "sub"), other(v, "sub")
  local seconds, rest = t.sec - u.sec, t.nsec - u.nsec
  if rest < 0 then seconds, rest = seconds - 1, rest + BILLION end
  if seconds > 9223372036 or seconds == 9223372036 and rest > 854775807 then return duration(MAXINT) end
  if seconds < -9223372037 or seconds == -9223372037 and rest < 145224192 then return duration(MININT) end
  return duration(seconds * BILLION + rest)
end

function Time:add_date(y, mo, d)
  local days, sod, t = civil(self, "add_date")
  local year, month, day = civil_from_days(days)
  return make_civil(year + integer(y, 1, "add_date", 0), month + integer(mo, 2, "add_date", 0),
    day + integer(d, 3, "add_date", 0), 0, 0, sod, t.nsec, t.loc)
end

local function compare(t, u)
  if t.sec ~= u.sec then return t.sec < u.sec and -1 or 1 end
  return t.nsec == u.nsec and 0 or t.nsec < u.nsec and -1 or 1
end
function Time:before(v) return compare(state(self, "before"), other(v, "before")) < 0 end
function Time:after(v) return compare(state(self, "after"), other(v, "after")) > 0 end
function Time:equal(v) return compare(state(self, "equal"), other(v, "equal")) == 0 end
function TimeMT.__eq(a, b)
  local t, u = of(a, TimeClass), of(b, TimeClass)
  return t ~= nil and u ~= nil and compare(t, u) == 0
end
function TimeMT.__lt(a, b) return compare(state(a, "<"), state(b, "<")) < 0 end
function TimeMT.__le(a, b) return compare(state(a, "<="), state(b, "<=")) <= 0 end

local function format(t, layout)
  local offset, zone = offset_at(of(t.loc, LocationClass), t.sec)
  return py.format_time(layout, t.sec, t.nsec, offset, zone)
end
function Time:format(layout) return format(state(self, "format"), text(layout, 1, "format")) end
function Time:format_rfc3339() return format(state(self, "format_rfc3339"), M.RFC3339) end
function TimeMT.__tostring(self)
  return format(state(self, "tostring"), "2006-01-02 15:04:05.999999999 -0700 MST")
end

function Time:unix() return state(self, "unix").sec end
function Time:unix_nano()
  local t = state(self, "unix_nano")
  return t.sec * BILLION + t.nsec
end
function Time:date() return civil_from_days((civil(self, "date"))) end
function Time:clock()
  local _, sod = civil(self, "clock")
  return sod // 3600, sod // 60 % 60, sod % 60
end
function Time:year() return (civil_from_days((civil(self, "year")))) end
function Time:month() return (raw.select(2, civil_from_days((civil(self, "month"))))) end
function Time:day() return (raw.select(3, civil_from_days((civil(self, "day"))))) end
function Time:hour() return raw.select(2, civil(self, "hour")) // 3600 end
function Time:minute() return raw.select(2, civil(self, "minute")) // 60 % 60 end
function Time:second() return raw.select(2, civil(self, "second")) % 60 end
function Time:nanosecond() return state(self, "nanosecond").nsec end
function Time:weekday() return ((civil(self, "weekday")) + 4) % 7 end
function Time:year_day()
  local days = civil(self, "year_day")
  return days - days_from_civil((civil_from_days(days)), 1, 1) + 1
end
function Time:is_zero()
  local t = state(self, "is_zero")
  return t.sec == YEAR_ONE and t.nsec == 0
end
function Time:location() return state(self, "location").loc end

local function moved(t, loc) return new(TimeClass, { sec = t.sec, nsec = t.nsec, loc = loc }) end
function Time:utc() return moved(state(self, "utc"), M.utc) end
function Time:in_local() return moved(state(self, "in_local"), M.localtz) end
function Time:in_location(loc) return moved(state(self, "in_location"), check_location(loc, 1, "in_location")) end

-- What is over a multiple of d, counted from the beginning of the year 1.
local function remainder(t, d)
  if BILLION % d == 0 then return t.nsec % d end
  if d % BILLION == 0 then return ((t.sec - YEAR_ONE) % (d // BILLION)) * BILLION + t.nsec end
  return py.time_remainder(t.sec, t.nsec, d)
end

local function to_multiple(t, d, up)
  local step, err = nanos(d)
  if not step then return nil, err end
  if step <= 0 then return moved(t, t.loc) end
  local over = remainder(t, step)
  if up and over >= step - over then over = over - step end
  return make(t.sec - over // BILLION - 1, t.nsec + BILLION - over % BILLION, t.loc)
end
function Time:truncate(d) return to_multiple(state(self, "truncate"), d, false) end
function Time:round(d) return to_multiple(state(self, "round"), d, true) end
TimeClass = H.class("time.Time", Time, TimeMT)

-- --------------------------------------------------------------------------- sleeping, timers
function M.sleep(d)
  local ns, err = nanos(d)
  if not ns then return nil, err end
  if ns > 0 then H.block(function(wake) H.timer(ns, wake) end) end
  return true
end

local function positive(d) -- nil when it is no duration above 0
  local ns = nanos(d)
  return ns and ns > 0 and ns or nil
end

-- A timer's function must not raise, and asking Python raises when memory is used up (Z4).
local function push_now(ch)
  local ok, now = pcall(M.now)
  if ok then H.push(ch, now) end
end

function M.after(d)
  local ns = positive(d)
  if not ns then return fail("Invalid", "time.after: duration must be > 0") end
  local ch = H.channel(1)
  H.timer(ns, function()
    push_now(ch)
    H.close(ch)
  end)
  return ch
end

local function arm(timer, ns)
  timer.handle = H.timer(ns, function() push_now(timer.ch) end)
end
local function disarm(timer) return timer.handle ~= nil and H.stop_timer(timer.handle) or false end

function M.timer(d)
  local ns = positive(d)
  if not ns then return fail("Invalid", "time.timer: duration must be > 0") end
  local timer = { ch = H.channel(1), stopped = false }
  arm(timer, ns)
  return new(TimerClass, timer)
end

function Timer:channel() return H.self(self, TimerClass, "channel").ch end
function Timer:response() return H.self(self, TimerClass, "response").ch end
function Timer:stop()
  local timer = H.self(self, TimerClass, "stop")
  local pending = disarm(timer)
  timer.stopped = true
  H.close(timer.ch)
  return pending
end
-- True if the timer was still pending. A stopped timer has a closed channel and stays stopped.
function Timer:reset(d)
  local timer, ns = H.self(self, TimerClass, "reset"), positive(d)
  if not ns then H.raise("time.Timer.reset: duration must be > 0") end
  local pending = disarm(timer)
  if not timer.stopped then arm(timer, ns) end
  return pending
end
TimerClass = H.class("time.Timer", Timer)

-- Ticks stand at start + n*d: a late one does not delay those after it, and one missed is left out.
function M.ticker(d)
  local ns = positive(d)
  if not ns then return fail("Invalid", "time.ticker: duration must be > 0") end
  local ticker = { ch = H.channel(TICKS) }
  ticker.handle = H.timer(ns, function(due, now)
    push_now(ticker.ch)
    return due + ((now - due) // ns + 1) * ns
  end)
  return new(TickerClass, ticker)
end

function Ticker:channel() return H.self(self, TickerClass, "channel").ch end
function Ticker:response() return H.self(self, TickerClass, "response").ch end
function Ticker:stop()
  local ticker = H.self(self, TickerClass, "stop")
  disarm(ticker)
  H.close(ticker.ch)
  return true
end
TickerClass = H.class("time.Ticker", Ticker)

return M
