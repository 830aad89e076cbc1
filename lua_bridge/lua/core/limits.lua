-- What a step may use, and the hooks that see to it (TM8; lua_bridge.md 3.4, 4.2, 4.3).
--
-- Where slicing works a C hook preempts a coroutine every QUANTUM instructions (slicing.py) and the
-- scheduler counts; elsewhere a Lua hook counts. Over its budget a step ends by an error that the
-- wrappers of pcall and of coroutines pass on (sandbox.lua): no script can swallow it.
local H = ...
local raw = H.raw
local error = raw.error
local create, resume, yield, running = raw.coroutine.create, raw.coroutine.resume, raw.coroutine.yield, raw.coroutine.running
local sethook, getinfo, sub, pcall = raw.debug.sethook, raw.debug.getinfo, raw.string.sub, raw.pcall

local QUANTUM = H.config.quantum            -- instructions between two looks of the hook
local sliced = H.config.sliced              -- a C hook preempts; else a Lua hook kills only
local LARGE = 1024                          -- KB of a heap that is not small any more
local KILL = {}
local retry = 1                             -- of a small random generator

-- What the files of the core share about the step under way. Fields of a table, because they are
-- read in most steps and an upvalue of another file cannot be.
local R = {
  cur = nil,                                -- the record of the running coroutine
  killing = false,                          -- false, or {kind, message} of the limit that was hit
  used = 0,                                 -- looks of the hook in this step
  to = nil, topic = nil, payload = nil,     -- the last message it sent (process.lua)
  level = 0,                                -- KB in use after the last step
  limit = H.config.soft_kb,                 -- KB at which the next process has to go
}
H.R, H.KILL = R, KILL

function H.running_record() return R.cur end

-- How far the heap grows between two cycles of the collector: a small one to four times of what is
-- in use, because much of that is the host's and never goes; a large one to twice.
local large
function H.pace(now_large)
  large = now_large
  raw.collectgarbage("incremental", large and 200 or 400, 200, 13)
end
-- KB in use at the start of a turn.
function H.measure()
  local level = raw.collectgarbage("count")
  R.level = level
  if large ~= (level > LARGE) then H.pace(not large) end
end

function H.kill_step(kind, message)
  R.killing = R.killing or { kind, message }
  error(KILL, 0)
end

-- Is the step over its budget of instructions?
local function exhausted()
  return R.used * QUANTUM > (R.cur and R.cur.proc.instructions or H.config.instructions)
end
H.exhausted = exhausted

-- A slice is over where the coroutine cannot yield: it goes on, if its budget allows.
function H.spend()
  R.used = R.used + 1
  if exhausted() then H.kill_step("RateLimited", "instruction limit exceeded") end
end

-- Lua hook, for states that are not sliced.
local function hook()
  R.used = R.used + 1
  if R.killing or exhausted() then
    -- host code shares tables between processes: end the step in the script's own code
    if sub(getinfo(2, "S").source, 1, 6) == "=host:" then
      -- a fixed distance could be in step with a loop of the script, for ever
      retry = (retry * 75 + 74) % 65537
      sethook(hook, "", 64 + retry % 128)
      return
    end
    sethook(hook, "", 1)
    H.kill_step("RateLimited", "instruction limit exceeded")
  end
end

-- Called by the C hook when a coroutine that cannot yield (inside table.sort, a metamethod of a C
-- function) is over its budget: from the next instruction on the Lua hook raises.
function H.arm(co)
  R.used = 1 << 40
  sethook(co, hook, "", 1)
end

-- A coroutine inherits the C hook of the one that makes it. The scheduler itself runs unhooked on
-- the main state, so a factory coroutine makes what is made there.
local factory, wanted
function H.make_factory()
  local function make()
    local f = wanted
    wanted = nil                              -- what is made here must not be held here
    local ok, co = pcall(create, f)           -- fails without memory; the factory itself must live
    return ok and co or nil
  end
  factory = create(function()
    while true do yield(make()) end
  end)
end

function H.newco(f)
  if not sliced then
    local co = create(f)
    sethook(co, hook, "", QUANTUM)
    return co
  end
  local _, main = running()
  if not main then return create(f) end
  wanted = f
  local _, co = resume(factory)
  if not co then error("not enough memory", 0) end
  return co
end
