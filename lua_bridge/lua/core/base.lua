-- The host table H: what every other host file of this state is built from.
--
-- Promises (spec processes.md M22, M23, Q3, Q7, Q10; lua_bridge.md sections 7 and 8)
--  * Host files take what they need from H.raw; the real _G is emptied afterwards, so a script
--    cannot change what the host calls.
--  * Objects given to scripts are tables with a private metatable and one private key. A script
--    cannot read or write their state, and the codec drops them at boundaries (M23).
--  * An Error is such an object, but crosses by value (M22).
-- Rejected: string keys for private state (a plain index reads them), weak side tables (slow in GC).
local G, config = ...
local H = { config = config, raw = {} }
for _, lib in G.ipairs { "coroutine", "string", "table", "math", "os", "utf8", "debug" } do
  local copy = {}
  for k, v in G.pairs(G[lib]) do copy[k] = v end
  H.raw[lib] = copy
end
for _, name in G.ipairs { "assert", "collectgarbage", "error", "getmetatable", "ipairs", "load", "next",
  "pairs", "pcall", "rawequal", "rawget", "rawlen", "rawset", "select", "setmetatable", "tonumber",
  "tostring", "type", "xpcall" } do
  H.raw[name] = G[name]
end

local raw = H.raw
local error, type, select, next, rawget, setmetatable, tostring =
  raw.error, raw.type, raw.select, raw.next, raw.rawget, raw.setmetatable, raw.tostring
local getmt, getinfo = raw.debug.getmetatable, raw.debug.getinfo
local count = raw.collectgarbage
local sub, format, match = raw.string.sub, raw.string.format, raw.string.match

local S = {}         -- the private key of every host object
local opaque = {}    -- metatable -> true: dropped at boundaries, closed to raw access
local frozen = {}    -- proxy metatable -> the table behind it
H.S, H.opaque, H.frozen_of = S, opaque, frozen

-- ---------------------------------------------------------------- errors raised in the script's name

-- Is this the source of one of our own files? (See boot.lua for the two prefixes.)
function H.is_host(source)
  local head = sub(source, 1, 6)
  return head == "=host:" or head == "=[lua]"
end

-- Position of the nearest script line, as "app/users.lua:3: " or ""; of a dead coroutine if given.
local function where(co)
  for level = co and 0 or 2, 40 do
    local info
    if co then info = getinfo(co, level, "Sl") else info = getinfo(level, "Sl") end
    if not info then return "" end
    if info.what ~= "C" and not H.is_host(info.source) and info.currentline > 0 then
      return format("%s:%d: ", info.short_src, info.currentline)
    end
  end
  return ""
end

-- Raise text at the script line that called into the host (wrong argument types, Q10).
function H.raise(text) error(where() .. text, 0) end

-- An error with the position of the script, if it has that of a host file: Lua's own functions are
-- called by ours. Called where the error is raised, or with the coroutine that it has ended.
function H.located(e, co)
  if type(e) ~= "string" then return e end
  local rest = match(e, "^host:[%w_]+:%d+: (.*)$") or match(e, "^%[lua%]:[%w_]+:%d+: (.*)$")
  return rest and where(co) .. rest or e
end

-- "bad argument #2 to 'send' (string expected, got table)"; `got` is the offending value.
function H.argerror(n, fname, expected, got)
  H.raise(format("bad argument #%d to '%s' (%s expected, got %s)", n, fname, expected, H.typename(got)))
end

-- Argument n of fname, which has to be a string.
function H.string_argument(v, n, fname)
  if type(v) ~= "string" then H.argerror(n, fname, "string", v) end
  return v
end

-- As string_argument; numbers are taken as strings (M9).
function H.text_argument(v, n, fname)
  if type(v) == "string" then return v end
  if type(v) ~= "number" then H.argerror(n, fname, "string", v) end
  return tostring(v)
end

-- ---------------------------------------------------------------- objects

-- A class of host objects. methods: name -> function(self, ...). meta: further metamethods.
function H.class(name, methods, meta)
  local mt = { __name = name, __metatable = false, __index = methods }
  mt.__newindex = function(_, key) H.raise("cannot assign to a field of " .. name .. ": " .. tostring(key)) end
  for k, v in next, meta or {} do mt[k] = v end
  opaque[mt] = true
  return mt
end

function H.new(class, state) return setmetatable({ [S] = state }, class) end

-- Objects that stand for something on the Python side: a script that makes them for ever must not
-- keep all of them alive there. The finaliser only notes the number; sched.lua sends the notes with
-- the outbox. A state with many of them is collected in full now and then, because to the collector
-- they are small.
local released, noted = {}, 0               -- index of the process and number, in turn
local owned, since = 0, 0                   -- alive, and made since the last full collection
local MANY = 5000

local function finalise(obj)
  local state = rawget(obj, S)
  released[noted + 1], released[noted + 2] = state.owner, state.handle
  noted = noted + 2
  owned = owned - 1
end

-- A class of such objects; their state has `handle`.
function H.owning(class)
  class.__gc = finalise
  return class
end

function H.own(class, state)
  local cur = H.R.cur
  state.owner = cur and cur.proc.idx or 0
  owned, since = owned + 1, since + 1
  if owned > MANY and since > MANY / 2 then
    since = 0
    count("collect")
  end
  return H.new(class, state)
end

-- What was noted, and nothing is noted any more.
function H.take_released()
  if noted == 0 then return nil, 0 end
  local list, n = released, noted
  released, noted = {}, 0
  return list, n
end

-- The values after the first, which is kept alive by being an argument of a call under way.
function H.after(_, ...) return ... end

-- State of obj if it is an object of class, else nil.
function H.of(obj, class)
  if type(obj) == "table" and getmt(obj) == class then return obj[S] end
  return nil
end

-- State of the receiver of a method; raises like Lua's own library when it is something else.
function H.self(obj, class, method)
  if type(obj) == "table" and getmt(obj) == class then return obj[S] end
  H.raise(format("calling '%s' on a bad self (%s expected, got %s)", method, class.__name, H.typename(obj)))
end

function H.typename(v)
  local t = type(v)
  if v == nil then return "no value" end
  if t == "table" then
    local mt = getmt(v)
    if mt and (opaque[mt] or frozen[mt]) then return mt.__name end
  end
  return t
end

-- A read-only view of a table, shared by all processes of this state. pairs() works on it.
function H.frozen(name, tbl)
  local mt = { __name = name, __index = tbl, __metatable = false }
  mt.__newindex = function(_, key) H.raise(format("cannot change the module %s (field %s)", name, tostring(key))) end
  mt.__len = function() return #tbl end
  mt.__pairs = function(proxy)
    return function(_, key) return next(tbl, key) end, proxy, nil
  end
  frozen[mt] = tbl
  return setmetatable({}, mt)
end

-- ---------------------------------------------------------------- Error objects (section 10)

local methods = {}
local errmt = { __name = "error", __metatable = false, __index = methods }
errmt.__newindex = function() H.raise("cannot assign to a field of an error") end
H.errmt = errmt
opaque[errmt] = true -- closed to raw access; at boundaries it is looked at before the others (M22)

-- kind is the text of a constant of section 10; retryable true, false or nil (unknown).
function H.mkerr(kind, message, retryable, details, stack)
  return setmetatable({ [S] = {
    kind = kind, message = message, retryable = retryable, details = details, stack = stack,
  } }, errmt)
end

-- What a module function returns when it fails (Q10: framework errors have retryable = false).
function H.fail(kind, message, details) return nil, H.mkerr(kind, message, false, details) end

-- The state {kind, message, retryable, details, stack} of an Error, else nil.
function H.error(x)
  if type(x) == "table" and getmt(x) == errmt then return x[S] end
  return nil
end

-- Text of a string, number or Error; nil for anything else. Never runs script code.
function H.text(x)
  local t = type(x)
  if t == "string" then return x end
  if t == "number" then return tostring(x) end
  local e = H.error(x)
  return e and e.message
end

local function estate(e, method)
  local s = H.error(e)
  if not s then H.raise(format("calling '%s' on a bad self (error expected, got %s)", method, H.typename(e))) end
  return s
end
function methods.message(e) return estate(e, "message").message end
function methods.kind(e) return estate(e, "kind").kind end
function methods.retryable(e) return estate(e, "retryable").retryable end
function methods.details(e) return estate(e, "details").details end
function methods.stack(e)
  local s = estate(e, "stack")
  return s.stack or s.message
end
errmt.__tostring = function(e) return e[S].message end
errmt.__concat = function(a, b)
  local x, y = H.text(a), H.text(b)
  if not x or not y then H.raise("attempt to concatenate a " .. H.typename(x and b or a) .. " value") end
  return x .. y
end

-- ---------------------------------------------------------------- calling Python

-- Z4: a result pushed over the memory limit would hang the interpreter, so check first.
local brim = config.brim_kb
local function result(ok, ...)
  if ok == true then return ... end
  if ok == false then
    local kind, message, retryable, shape = ...
    local details
    if shape then details = H.build(select(4, ...)) end
    return nil, H.mkerr(kind, message, retryable, details)
  end
  H.raise((...))
end

-- Wrap a Python function that takes and returns scalars and never raises (state.py guarded()).
function H.pyfn(f)
  return function(...)
    if count("count") > brim then error("not enough memory", 0) end
    return result(f(...))
  end
end

return H
