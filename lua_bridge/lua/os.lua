-- os, as far as a sandbox has one: time, date, clock, difftime, all by the node's clock (TS3).
--
-- The library functions of C do the calendar, always with an explicit time, so they never read the
-- real clock. They get copies of plain fields and never run a script's metamethods.
local H = ...
local raw = H.raw
local type, pcall, rawget, rawset, gsub = raw.type, raw.pcall, raw.rawget, raw.rawset, raw.string.gsub
local mtype, toint = raw.math.type, raw.math.tointeger

local MAX_FORMAT = 1024
local FIELDS = { "year", "month", "day", "hour", "min", "sec", "isdst" }
local BILLION = 1000000000
local M = {}

local function seconds(v, n, fn)
  if v == nil then return H.wall() // BILLION end
  local i = mtype(v) and toint(v)
  if not i then H.argerror(n, fn, "integer", v) end
  return i
end

-- The result of a library function, or its complaint at the script's line.
local function checked(ok, value)
  if ok then return value end
  H.raise((gsub(value, "^[^:]*:%d+: ", "")))
end

function M.time(t)
  if t == nil then return H.wall() // BILLION end
  if type(t) ~= "table" or H.typename(t) ~= "table" then H.argerror(1, "time", "table", t) end
  local copy = {}
  for _, name in raw.ipairs(FIELDS) do
    local v = rawget(t, name)
    if v ~= nil and type(v) ~= "number" and type(v) ~= "boolean" and type(v) ~= "string" then
      H.raise("field '" .. name .. "' is not an integer")
    end
    copy[name] = v
  end
  local result = checked(pcall(raw.os.time, copy))
  for name, v in raw.next, copy do rawset(t, name, v) end
  return result
end

function M.date(format, t)
  if format == nil then format = "%c" end
  if type(format) ~= "string" then H.argerror(1, "date", "string", format) end
  if #format > MAX_FORMAT then H.raise("date format longer than " .. MAX_FORMAT .. " characters") end
  return checked(pcall(raw.os.date, format, seconds(t, 2, "date")))
end

-- Seconds since the process first asked: computing time is not told, it would differ in a replay.
function M.clock()
  local now = H.now() / BILLION
  local current = H.current()
  if not current then return 0.0 end
  local start = current.data.os
  if not start then
    start = now
    current.data.os = now
  end
  return now - start
end

function M.difftime(a, b) return (seconds(a, 1, "difftime") - seconds(b, 2, "difftime")) + 0.0 end

return M
