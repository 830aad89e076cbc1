-- math, with random and randomseed by a generator of the process's own (TS3).
--
-- Lua's own generator belongs to the state: one process could seed it for all its neighbours, and
-- a replay could not repeat it. This one is xoshiro256** (Blackman and Vigna, public domain), kept
-- per process and seeded from the node's random source when it is first used.
local H, py = ...
local raw = H.raw
local mtype, toint, ult = raw.math.type, raw.math.tointeger, raw.math.ult

local M = {}
for name, f in raw.next, raw.math do M[name] = f end

local shared -- used while a chunk is loaded outside a process

local function rotate(x, n) return (x << n) | (x >> (64 - n)) end

local function step(g)
  local s0, s1, s2, s3 = g[1], g[2], g[3], g[4]
  local result = rotate(s1 * 5, 7) * 9
  s2, s3 = s2 ~ s0, s3 ~ s1
  g[1], g[2], g[3], g[4] = s0 ~ s3, s1 ~ s2, s2 ~ (s1 << 17), rotate(s3, 45)
  return result
end

local function seed(g, a, b)
  g[1], g[2], g[3], g[4] = a, 0xff, b, 0
  for _ = 1, 16 do step(g) end
  return g
end

local function generator()
  local current = H.current()
  local g
  if current then g = current.data.math else g = shared end
  if not g then
    g = seed({}, py.seed(current and current.idx or 0))
    if current then current.data.math = g else shared = g end
  end
  return g
end

local function integer(v, n, fn)
  local i = mtype(v) and toint(v)
  if not i then
    if mtype(v) then H.raise("bad argument #" .. n .. " to '" .. fn .. "' (number has no integer representation)") end
    H.argerror(n, fn, "number", v)
  end
  return i
end

function M.random(...)
  local count = raw.select("#", ...)
  local g = generator()
  if count == 0 then return (step(g) >> 11) * 0x1p-53 end
  local low, high = 1, nil
  if count == 1 then
    high = integer((...), 1, "random")
    if high == 0 then return step(g) end
  elseif count == 2 then
    low, high = integer((...), 1, "random"), integer((raw.select(2, ...)), 2, "random")
  else
    H.raise("wrong number of arguments")
  end
  if low > high then H.raise("bad argument #" .. count .. " to 'random' (interval is empty)") end
  local span, mask = high - low, high - low
  for shift = 0, 5 do mask = mask | (mask >> (1 << shift)) end
  local value = step(g) & mask
  while ult(span, value) do value = step(g) & mask end
  return low + value
end

function M.randomseed(...)
  local g = generator()
  if raw.select("#", ...) == 0 then
    seed(g, py.seed())
    return
  end
  local a, b = ...
  if not mtype(a) then H.argerror(1, "randomseed", "number", a) end
  a = toint(a) or toint(a // 1) or 0
  seed(g, a, b == nil and 0 or integer(b, 2, "randomseed"))
end

return M
