-- Deep copies of values inside one state (M20-M24): what codec.lua does in two steps, in one.
--
-- The same promises and limits as there. A copy never yields, and runs no code of the script.
local H = ...
local raw = H.raw
local type, next, select, rawlen, getmt = raw.type, raw.next, raw.select, raw.rawlen, raw.debug.getmetatable
local S, opaque, frozen_of, errmt = H.S, H.opaque, H.frozen_of, H.errmt
local MAX_ARGUMENTS, MAX_DEPTH, max_bytes = H.MAX_ARGUMENTS, H.config.depth, H.config.message_size
local refuse, through, refusal, too_deep, too_big = H.refuse, H.through, H.refusal, H.too_deep, H.too_big
local too_many_arguments, unhooked, room, drop_rest = H.too_many_arguments, H.unhooked, H.room, H.drop_work

local scalar = { string = true, number = true, boolean = true }
local copied, copy_size                     -- of the copy under way

-- Whatever was left half done holds no data any more.
function H.drop_work()
  copied = nil
  drop_rest()
end

local copy_value

local function copy_key(k, depth)
  if scalar[type(k)] then return k end
  local new, bad = copy_value(k, type(k), depth + 1)
  if bad then return nil, through(bad, "[key]") end
  return new
end

local function copy_table(t, depth)
  if depth > MAX_DEPTH then return nil, too_deep() end
  local size_here, n = 0, rawlen(t)
  local new = n == 0 and room(4) or {}
  copied[t] = new
  for k, v in next, t do
    local tv = type(v)
    if tv == "string" then size_here = size_here + #v
    elseif tv ~= "number" and tv ~= "boolean" then
      local bad
      v, bad = copy_value(v, tv, depth + 1)
      if bad then return nil, through(bad, k) end
    end
    local tk = type(k)
    if tk == "string" then
      size_here = size_here + #k + 16
      new[k] = v
    elseif tk == "number" then
      size_here = size_here + 16
      new[k] = v
    else
      local key, bad = copy_key(k, depth)
      if bad then return nil, bad end
      if key ~= nil then new[key] = v end
    end
  end
  copy_size = copy_size + size_here
  if copy_size > max_bytes then return nil, too_big() end
  return new
end

function copy_value(v, t, depth)
  if t == "table" then
    local done = copied[v]
    if done then return done end
    local mt = getmt(v)
    if mt then
      if mt == errmt then
        local e = v[S]
        local details, bad = copy_value(e.details, type(e.details), depth + 1)
        if bad then return nil, through(bad, "details") end
        return H.mkerr(e.kind, e.message, e.retryable, details)
      end
      if opaque[mt] then return nil end
      v = frozen_of[mt] or v
    end
    return copy_table(v, depth)
  end
  if scalar[t] then return v end
  if v == nil or t == "userdata" then return nil end
  return nil, refuse("cannot pass a " .. (t == "thread" and "coroutine" or t) .. " to another process")
end

local function copy_whole(v)
  copied, copy_size = room(8), 0
  local new, bad = copy_value(v, type(v), 1)
  copied = nil
  if bad then return nil, refusal(bad) end
  return new
end

-- Deep copy by M20-M24 -> value; or nil, Error.
function H.copy(v)
  local t = type(v)
  if t == "number" or t == "boolean" or t == "string" and #v <= max_bytes then return v end
  if v == nil then return nil end
  if t == "string" then return nil, refusal(too_big()) end
  return unhooked(copy_whole, v)
end

-- The n arguments of one message as its payload (M30-M33), copied; or nil, Error.
function H.copy_payload(n, ...)
  if n == 1 then return H.copy((...)) end
  if n == 0 then return nil end
  if n > MAX_ARGUMENTS then return nil, refusal(too_many_arguments()) end
  copied, copy_size = {}, 0
  local list = {}
  for i = 1, n do
    local v = select(i, ...)
    local new, bad = copy_value(v, type(v), 2)
    if bad then
      copied = nil
      return nil, refusal(through(bad, i))
    end
    list[i] = new
  end
  copied = nil
  return list
end
