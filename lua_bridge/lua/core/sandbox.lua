-- What a script sees: an environment per process over libraries shared read-only.
--
-- Promises (lua_bridge.md sections 4.2 and 7; spec E2-E4, G4, G6, Q8)
--  * A kill passes pcall, xpcall and every coroutine function.
--  * No function hands out the raw next: private keys of host objects stay private.
--  * Libraries, host objects and modules cannot be changed, also not by rawset or setmetatable.
--  * load compiles text only, always inside a sandbox environment.
local H = ...
local raw = H.raw
local type, next, select, error, tostring, setmetatable, getmetatable, rawget, rawset, rawlen =
  raw.type, raw.next, raw.select, raw.error, raw.tostring, raw.setmetatable, raw.getmetatable, raw.rawget, raw.rawset, raw.rawlen
local pcall, xpcall, load, concat = raw.pcall, raw.xpcall, raw.load, raw.table.concat
local getmt = raw.debug.getmetatable
local resume, yield, running, status, isyieldable = raw.coroutine.resume, raw.coroutine.yield,
  raw.coroutine.running, raw.coroutine.status, raw.coroutine.isyieldable
local opaque, frozen_of = H.opaque, H.frozen_of
local WAIT, YIELD, RETURN, KILL = H.WAIT, H.YIELD, H.RETURN, H.KILL
local R = H.R
local MEMORY, located = "not enough memory", H.located

local base = {}
H.base = base
for _, name in raw.ipairs { "assert", "error", "ipairs", "rawequal", "rawget", "rawlen", "select", "tonumber", "tostring", "type" } do
  base[name] = raw[name]
end
base._VERSION = "Lua 5.4"

-- ---------------------------------------------------------------- protected calls

local function passed(ok, err, ...)
  if R.killing then error(KILL, 0) end
  if not ok and err == MEMORY then H.kill_step("RateLimited", "memory limit exceeded") end
  return ok, err, ...
end

function base.pcall(...)
  if select("#", ...) == 0 then H.argerror(1, "pcall", "value", nil) end
  return passed(xpcall((...), located, select(2, ...)))
end

function base.xpcall(f, handler, ...)
  if type(handler) ~= "function" then H.argerror(2, "xpcall", "function", handler) end
  return passed(xpcall(f, function(e)
    if R.killing then return e end
    return handler(located(e))
  end, ...))
end

-- ---------------------------------------------------------------- tables

local function closed(t)
  local mt = type(t) == "table" and getmt(t)
  return mt and (opaque[mt] or frozen_of[mt])
end
H.closed = closed

function base.next(t, key)
  local mt = type(t) == "table" and getmt(t)
  if mt then
    if opaque[mt] then return nil end
    t = frozen_of[mt] or t
  end
  return next(t, key)
end

local function iterate(t)
  return function(_, key) return next(t, key) end, t, nil
end

function base.pairs(t)
  local mt = getmt(t)
  if mt and type(t) == "table" then
    if opaque[mt] then return iterate({}) end
    local own = rawget(mt, "__pairs")
    if own then
      local f, s, c = own(t)
      return f, s, c
    end
  elseif type(t) ~= "table" then
    H.argerror(1, "pairs", "table", t)
  end
  return iterate(t)
end

function base.rawset(t, key, value)
  if closed(t) then H.raise("cannot change " .. H.typename(t)) end
  return rawset(t, key, value)
end

function base.getmetatable(t)
  if type(t) ~= "table" then return nil end
  return getmetatable(t)
end

function base.setmetatable(t, mt)
  if type(t) ~= "table" then H.argerror(1, "setmetatable", "table", t) end
  if closed(t) then H.raise("cannot change " .. H.typename(t)) end
  if type(mt) == "table" then
    if closed(mt) then H.raise("cannot use " .. H.typename(mt) .. " as a metatable") end
    if rawget(mt, "__gc") ~= nil then H.raise("finalizers (__gc) are not available") end
  end
  return setmetatable(t, mt)
end

-- ---------------------------------------------------------------- coroutines

-- User coroutines that wait inside a blocked coroutine of the process: nobody else may touch them.
local busy = setmetatable({}, { __mode = "k" })
local co = {}

local function wrapped(f)
  return function(...) return RETURN, f(...) end
end

local after

-- What a blocked coroutine is resumed with goes to the innermost one.
local function inward(inner, ...)
  busy[inner] = nil
  return after(inner, resume(inner, ...))
end

local function outward(inner, tag, queue)
  local rec = H.running_record()
  if not isyieldable() or rec and rec.nb > 0 then
    H.spend()
    return after(inner, resume(inner))    -- preempted where we cannot yield: go on
  end
  busy[inner] = true
  if tag == WAIT then return inward(inner, yield(WAIT, queue)) end
  return inward(inner, yield())
end

function after(inner, ok, tag, ...)
  if R.killing then error(KILL, 0) end
  if ok then
    if tag == YIELD or tag == RETURN then return true, ... end
    return outward(inner, tag, ...)
  end
  if tag == MEMORY then H.kill_step("RateLimited", "memory limit exceeded") end
  return false, located(tag, inner)
end

-- Where we cannot yield ourselves, the inner coroutine may not block.
local function drive(inner, ...)
  if isyieldable() then return after(inner, resume(inner, ...)) end
  local rec = H.running_record()
  if not rec then return after(inner, resume(inner, ...)) end
  rec.nb = rec.nb + 1
  local function back(...)
    rec.nb = rec.nb - 1
    return ...
  end
  return back(after(inner, resume(inner, ...)))
end

local function thread(inner, fname)
  if type(inner) ~= "thread" then H.argerror(1, fname, "coroutine", inner) end
  return inner
end

function co.create(f)
  if type(f) ~= "function" then H.argerror(1, "create", "function", f) end
  return H.newco(wrapped(f))
end

function co.resume(inner, ...)
  if busy[thread(inner, "resume")] then return false, "cannot resume non-suspended coroutine" end
  if H.is_process_coroutine(inner) then return false, "cannot resume a coroutine of coroutine.spawn" end
  return drive(inner, ...)
end

local function unwrap(ok, ...)
  if ok then return ... end
  error((...), 0)
end

function co.wrap(f)
  if type(f) ~= "function" then H.argerror(1, "wrap", "function", f) end
  local inner = H.newco(wrapped(f))
  return function(...)
    if busy[inner] then error("cannot resume non-suspended coroutine", 0) end
    return unwrap(drive(inner, ...))
  end
end

-- In main and in spawned coroutines a yield only gives way (G4).
function co.yield(...)
  local rec = H.running_record()
  if rec and running() == rec.co then
    if not rec.proc.pid then H.raise("cannot yield while the chunk is being loaded") end
    if rec.nb == 0 then yield(YIELD) end
    return
  end
  return yield(YIELD, ...)
end

function co.status(inner)
  if busy[thread(inner, "status")] then return "normal" end
  return status(inner)
end

function co.running()
  local current = running()
  local rec = H.running_record()
  if rec and rec.co == current then H.process_coroutines[current] = true end
  return current, rec ~= nil and rec == rec.proc.main and current == rec.co
end

function co.isyieldable() return isyieldable() end

function co.close(inner)
  if busy[thread(inner, "close")] or H.is_process_coroutine(inner) then
    H.raise("cannot close a running coroutine")
  end
  return passed(raw.coroutine.close(inner))
end

function co.spawn(f)
  if type(f) ~= "function" then H.argerror(1, "spawn", "function", f) end
  return H.spawn(f)
end
base.coroutine = H.frozen("coroutine", co)

-- ---------------------------------------------------------------- load

local function chunk_text(chunk)
  if type(chunk) == "string" then return chunk end
  if type(chunk) ~= "function" then H.argerror(1, "load", "string or function", chunk) end
  local parts, size = {}, 0
  while true do
    local piece = chunk()
    if piece == nil or piece == "" then return concat(parts) end
    if type(piece) ~= "string" then return nil, "reader function must return a string" end
    parts[#parts + 1] = piece
    size = size + #piece
    if size > H.config.source_limit then return nil, "chunk is larger than the limit" end
  end
end

function base.load(chunk, name, mode, ...)
  local text, err = chunk_text(chunk)
  if not text then return nil, err end
  if #text > H.config.source_limit then return nil, "chunk is larger than the limit" end
  if mode ~= nil and mode ~= "t" and mode ~= "bt" then return nil, "only text chunks can be loaded" end
  local env
  if select("#", ...) > 0 then env = (...) else env = H.environment() end
  name = H.text(name) or "=(load)"
  if raw.string.find(name, "^[=@]?host:") or raw.string.find(name, "^=?%[lua%]") then name = "=(load)" end
  return load(text, name, "t", env)
end

-- Environment of the running process.
function H.environment()
  local rec = H.running_record()
  return rec and rec.proc.env or setmetatable({}, { __index = base })
end

function H.is_process_coroutine(inner)
  local rec = H.running_record()
  return rec ~= nil and (rec.co == inner or H.process_coroutines[inner] == true)
end
-- Coroutines of processes that scripts can name; only the scheduler resumes them.
H.process_coroutines = setmetatable({}, { __mode = "k" })

-- ---------------------------------------------------------------- the string metatable

function H.seal(strings)
  local mt = getmt("")
  for k in next, mt do mt[k] = nil end
  mt.__index = strings
  mt.__metatable = false
end
