-- string, table and utf8 for scripts: Lua's own, with bounds where one C call could run or
-- allocate without end (lua_bridge.md 4.4), and Errors taken where text is expected (Q8).
local H = ...
local raw = H.raw
local type, next, rawget = raw.type, raw.next, raw.rawget
local getmt = raw.debug.getmetatable
local limit = H.config.string_limit
local MOVES = 10000000
local base, rs, rt = H.base, raw.string, raw.table

-- ---------------------------------------------------------------- string

local function text(v)
  local e = type(v) == "table" and H.error(v)
  if e then return e.message end
  return v
end
H.subject = text

-- A function around one of Lua's own, which it calls by its name, so that errors show the name.
local function wrapper(name, f, body, ...)
  local source = "local " .. name .. ", type, getmt, check = ... return function(x, ...) " .. body .. " end"
  return raw.load(raw.string.gsub(source, "NAME", name), "=host:libs", "t", {})(f, type, getmt, ...)
end

local strings = {}
for _, name in raw.ipairs { "byte", "len", "lower", "reverse", "sub", "upper", "unpack", "packsize" } do
  strings[name] = wrapper(name, rs[name], "return NAME(type(x) == 'table' and check(x) or x, ...)", text)
end
strings.char, strings.pack, strings.format = rs.char, rs.pack, rs.format

function strings.rep(s, n, sep)
  s, sep = text(s), text(sep)
  local size = (type(s) == "string" and #s or 0) + (type(sep) == "string" and #sep or 0)
  local count = raw.tonumber(n)
  if count and count > 1 and (count > limit or size * count > limit) then
    H.raise("resulting string is larger than " .. limit .. " bytes")
  end
  return rs.rep(s, n, sep)
end

-- find, match, gmatch and gsub come from patterns.lua
H.strings = strings

-- ---------------------------------------------------------------- table

local tables = {}

-- Table functions ask __len from C without end, so a lying one would never return.
local function plain(t, fname)
  local mt = type(t) == "table" and getmt(t)
  if mt then
    if H.closed(t) then H.raise("cannot use " .. H.typename(t) .. " with table." .. fname) end
    if rawget(mt, "__len") ~= nil then H.raise("table." .. fname .. " does not take tables with __len") end
  end
  return t
end

for _, name in raw.ipairs { "concat", "insert", "remove", "sort", "unpack" } do
  local body = "if type(x) == 'table' and getmt(x) then check(x, 'NAME') end return NAME(x, ...)"
  tables[name] = wrapper(name, rt[name], body, plain)
end
tables.pack = rt.pack

function tables.move(a, from, to, at, b)
  local x, y = raw.tonumber(from), raw.tonumber(to)
  if x and y and y - x > MOVES then H.raise("table.move of more than " .. MOVES .. " elements") end
  return rt.move(plain(a, "move"), from, to, at, b ~= nil and plain(b, "move") or a)
end
base.table = H.frozen("table", tables)

-- ---------------------------------------------------------------- utf8

local utf = {}
for k, v in next, raw.utf8 do utf[k] = v end
base.utf8 = H.frozen("utf8", utf)
