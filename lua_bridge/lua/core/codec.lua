-- Values across boundaries: their flat form. Deep copies inside one state are in copy.lua.
--
-- Promises: M20-M24 (nil, scalars, tables with cycles and shared references, Errors; other host
-- objects become nil; functions and coroutines are refused), depth and size limits.
--
-- Flat form = a shape string and a list of scalars, so that only scalars ever cross a boundary
-- (lua_bridge.md Z1-Z9). One letter of the shape per value, in reading order:
--   n nil          v the next scalar           e Error: kind, message, retryable; details follow
--   A n scalars    a n values                  (list; the count n is a scalar)
--   M n key-scalar pairs                       (table of scalars)
--   m n pairs: key scalar, value               t n pairs: key value, value (keys that are tables)
--   r i: the i-th table again                  c i: the same, but that table is not finished (cycle)
-- codec.py reads and writes the same form. Rejected: JSON (integers, bytes, shared references).
local H = ...
local raw = H.raw
local type, next, select, rawlen, rawget = raw.type, raw.next, raw.select, raw.rawlen, raw.rawget
local getmt, mathtype = raw.debug.getmetatable, raw.math.type
local move, unpack, concat = raw.table.move, raw.table.unpack, raw.table.concat
local byte, char = raw.string.byte, raw.string.char
local S, opaque, frozen_of, errmt = H.S, H.opaque, H.frozen_of, H.errmt
local MAX_ARGUMENTS = 1000 -- of one call: reading them one by one is quadratic
local MAX_DEPTH, MAX_VALUES = H.config.depth, H.config.max_values
local max_bytes = H.config.message_size

local scalar = { string = true, number = true, boolean = true }

-- ---------------------------------------------------------------- refusals

-- A refusal is {message, path = {innermost key first}}; the caller makes it an Error (M24).
local function refuse(message) return { message = message, path = {} } end

local function through(bad, key)
  bad.path[#bad.path + 1] = key
  return bad
end

local function path_text(bad)
  local parts = {}
  for i = #bad.path, 1, -1 do
    local key = bad.path[i]
    if type(key) == "string" then parts[#parts + 1] = "." .. key
    elseif type(key) == "table" then parts[#parts + 1] = "[table]"
    else parts[#parts + 1] = "[" .. raw.tostring(key) .. "]" end
  end
  return concat(parts)
end

local function refusal(bad)
  local path, details = path_text(bad), nil
  if path ~= "" then details = { path = path } end
  return H.mkerr("Invalid", bad.message, false, details)
end

local function too_deep() return refuse("value is nested deeper than " .. MAX_DEPTH .. " levels") end
local function too_big() return refuse("value is larger than " .. max_bytes .. " bytes") end
local function too_many() return refuse("value has more than " .. MAX_VALUES .. " fields") end

H.refuse, H.through, H.refusal, H.too_deep, H.too_big = refuse, through, refusal, too_deep, too_big

-- Is t a list with keys 1..n? Called when next() did not give the keys in order.
local function is_list(t, n)
  if rawlen(t) ~= n then return false end
  for k in next, t do
    if mathtype(k) ~= "integer" or k < 1 or k > n then return false end
  end
  return true
end

-- ---------------------------------------------------------------- flatten

local shape, ns, vals, nv, seen, nt, size      -- of the flatten under way; it never yields

local bshape, bpos, bvals, bvpos, brefs, bn           -- of the build under way; it never yields

local walk

local function put(v)
  nv = nv + 1
  vals[nv] = v
end

local function op(letter)
  ns = ns + 1
  shape[ns] = letter
end

local function walk_error(e, depth)
  op("e"); put(e.kind); put(e.message); put(e.retryable)
  size = size + #e.message
  local bad = walk(e.details, depth + 1)
  return bad and through(bad, "details")
end

local function walk_list(t, n, depth)
  op("a"); put(n)
  for i = 1, n do
    local v = rawget(t, i)
    if scalar[type(v)] then
      ns, nv = ns + 1, nv + 1
      shape[ns], vals[nv] = "v", v
    else
      local bad = walk(v, depth)
      if bad then return through(bad, i) end
    end
  end
end

local function walk_map(t, n, depth, table_keys)
  op(table_keys and "t" or "m")
  nv = nv + 1
  local at = nv
  local pairs_put = 0
  for k, v in next, t do
    if table_keys then
      local bad = walk(k, depth)
      if bad then return through(bad, k) end
    else
      nv = nv + 1
      vals[nv] = k
      if type(k) == "string" then size = size + #k end
    end
    if scalar[type(v)] then
      ns, nv = ns + 1, nv + 1
      shape[ns], vals[nv] = "v", v
    else
      local bad = walk(v, depth)
      if bad then return through(bad, k) end
    end
    pairs_put = pairs_put + 1
  end
  vals[at] = pairs_put
end

local function walk_table(t, depth)
  local at = seen[t]
  if at then
    op(at < 0 and "c" or "r"); put(at < 0 and -at or at)
    return nil
  end
  if depth > MAX_DEPTH then return too_deep() end
  nt = nt + 1
  local mine = nt
  seen[t] = -mine
  local n, list, flat, plain_keys = 0, true, true, true
  for k, v in next, t do
    n = n + 1
    if k ~= n then list = false end
    if not scalar[type(v)] then flat = false elseif type(v) == "string" then size = size + #v end
    if not scalar[type(k)] then plain_keys = false end
  end
  size = size + 16 * n
  if size > max_bytes then return too_big() end
  if nv + n > MAX_VALUES then return too_many() end
  if not list and plain_keys then list = is_list(t, n) end
  local bad
  if list and flat then
    op("A"); put(n)
    move(t, 1, n, nv + 1, vals)
    nv = nv + n
  elseif list then bad = walk_list(t, n, depth + 1)
  elseif flat and plain_keys then
    op("M"); put(n)
    for k, v in next, t do
      vals[nv + 1], vals[nv + 2] = k, v
      nv = nv + 2
    end
  else bad = walk_map(t, n, depth + 1, not plain_keys) end
  seen[t] = mine
  return bad
end

function walk(v, depth)
  local t = type(v)
  if t == "table" then
    local mt = getmt(v)
    if mt then
      if mt == errmt then return walk_error(v[S], depth) end
      if opaque[mt] then op("n") return nil end
      v = frozen_of[mt] or v
    end
    return walk_table(v, depth)
  elseif t == "string" then
    size = size + #v
    if size > max_bytes then return too_big() end
    op("v"); put(v)
  elseif scalar[t] then
    op("v"); put(v)
  elseif v == nil or t == "userdata" then
    op("n")
  else
    return refuse("cannot pass a " .. (t == "thread" and "coroutine" or t) .. " to another process")
  end
  return nil
end

local walker                                -- see `unhooked`

-- Whatever was left half done holds no data any more.
function H.drop_work()
  shape, vals, seen, bvals, brefs = nil, nil, nil, nil, nil
  walker = nil                              -- its stack holds what it walked last
end

local function too_many_arguments() return refuse("more than " .. MAX_ARGUMENTS .. " arguments") end
H.MAX_ARGUMENTS, H.too_many_arguments = MAX_ARGUMENTS, too_many_arguments

local function begin() shape, ns, vals, nv, seen, nt, size = {}, 0, {}, 0, {}, 0, 0 end

local function flat_result(bad)
  local s, v, n = shape, vals, nv
  local names = ns
  shape, vals, seen = nil, nil, nil
  if bad then return nil, refusal(bad) end
  return concat(s, "", 1, names), unpack(v, 1, n)
end

-- Walking values costs half as much without the instruction hook. They are bounded by the limits
-- of a message, so it is done in a coroutine of its own that has none.
local function make_walker()
  local yield = raw.coroutine.yield
  walker = raw.coroutine.create(function(f, v)
    while true do f, v = yield(f(v)) end
  end)
  raw.debug.sethook(walker)
end

local function walked(ok, ...)
  if ok then return ... end
  walker = nil
  return raw.error((...), 0)
end

local function unhooked(f, v)
  if not walker then make_walker() end
  return walked(raw.coroutine.resume(walker, f, v))
end

H.unhooked = unhooked

local function flatten_whole(v)
  begin()
  return flat_result(walk(v, 1))
end

-- value -> shape, scalars...; or nil, Error.
function H.flatten(v)
  local t = type(v)
  if t == "number" or t == "boolean" or t == "string" and #v <= max_bytes then return "v", v end
  if v == nil then return "n" end
  return unhooked(flatten_whole, v)
end

-- n arguments (nils kept) -> shape, scalars... of a list with n values; or nil, Error.
function H.flatten_list(n, ...)
  if n > MAX_ARGUMENTS then return nil, refusal(too_many_arguments()) end
  begin()
  op("a"); put(n)
  for i = 1, n do
    local bad = walk((select(i, ...)), 1)
    if bad then return flat_result(through(bad, i)) end
  end
  return flat_result(nil)
end

-- ---------------------------------------------------------------- build

-- A fresh table with room for n fields: growing one by one costs more than filling it.
local function room(n)
  if n <= 1 then return {} end
  if n <= 4 then return { a = nil, b = nil, c = nil, d = nil } end
  return { a = nil, b = nil, c = nil, d = nil, e = nil, f = nil, g = nil, h = nil }
end
H.room = room

local read

local function take()
  local v = bvals[bvpos]
  bvpos = bvpos + 1
  return v
end

local function remember(t)
  bn = bn + 1
  brefs[bn] = t
  return t
end

local SCALAR = byte("v")
local readers = {}
readers[byte("n")] = function() return nil end
readers[byte("v")] = take
readers[byte("A")] = function()
  local n = take()
  local t = move(bvals, bvpos, bvpos + n - 1, 1, remember({}))
  bvpos = bvpos + n
  return t
end
readers[byte("a")] = function()
  local t = remember({})
  for i = 1, take() do
    if bshape[bpos] == SCALAR then
      bpos = bpos + 1
      t[i] = bvals[bvpos]
      bvpos = bvpos + 1
    else t[i] = read() end
  end
  return t
end
readers[byte("M")] = function()
  local n = take()
  local t = remember(room(n))
  for i = bvpos, bvpos + 2 * n - 1, 2 do t[bvals[i]] = bvals[i + 1] end
  bvpos = bvpos + 2 * n
  return t
end
readers[byte("m")] = function()
  local n = take()
  local t = remember(room(n))
  for _ = 1, n do
    local k = bvals[bvpos]
    if bshape[bpos] == SCALAR then
      bpos = bpos + 1
      t[k] = bvals[bvpos + 1]
      bvpos = bvpos + 2
    else
      bvpos = bvpos + 1
      t[k] = read()
    end
  end
  return t
end
readers[byte("t")] = function()
  local t = remember({})
  for _ = 1, take() do
    local k = read()
    if k == nil then read() else t[k] = read() end
  end
  return t
end
readers[byte("r")] = function() return brefs[take()] end
readers[byte("c")] = readers[byte("r")]
readers[byte("e")] = function()
  local kind, message, retryable = take(), take(), take()
  return H.mkerr(kind, message, retryable, read())
end

function read()
  local letter = bshape[bpos]
  bpos = bpos + 1
  return readers[letter]()
end

local function start(s, v)
  bshape, bpos, bvals, bvpos, brefs, bn = { byte(s, 1, -1) }, 1, v, 1, {}, 0
end

-- shape, scalars... -> value
function H.build(s, ...)
  if s == "v" then return (...) end
  if s == "n" then return nil end
  start(s, { ... })
  local v = read()
  bvals, brefs = nil, nil
  return v
end

-- shape, scalars... of a list (letters A or a) -> {n = count, values...}, nils kept
function H.build_list(s, ...)
  start(s, { ... })
  local n = bvals[1]
  local t = read()
  t.n = n
  bvals, brefs = nil, nil
  return t
end

-- The n arguments of one message as its payload (M30-M33), flat: shape, scalars...; or nil, Error.
function H.flatten_payload(n, ...)
  if n == 1 then return H.flatten((...)) end
  if n == 0 then return "n" end
  return H.flatten_list(n, ...)
end
