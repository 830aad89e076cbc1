-- How processes end: results, errors, limits (E20-E36, T6; lua_bridge.md 3.4 and 8).
--
-- A process that has ended runs no more code: its coroutines are dropped, never closed (T6). Errors
-- are read raw; no script code runs to make a text of them.
local H = ...
local raw = H.raw
local type, next, select, tostring, pcall = raw.type, raw.next, raw.select, raw.tostring, raw.pcall
local traceback, concat, memory = raw.debug.traceback, raw.table.concat, raw.collectgarbage
local gmatch, match, find = raw.string.gmatch, raw.string.match, raw.string.find
local R, post = H.R, H.out
local SOFT, BRIM = H.config.soft_kb, H.config.brim_kb
local NONE = {}
local OVER = {}                             -- `hold` of a process that has ended: nothing of it goes on
local procs = {}                            -- index -> process
H.procs = procs
H.GONE = { dead = true, hold = OVER, live = 0 } -- the process of a record that belongs to none any more

-- Forget a process: nothing of it runs any more (T6).
local function bury(p)
  p.dead = true
  procs[p.idx] = nil
  if p.pid then H.pids[p.pid] = nil end
  H.drop_timers(p)
  H.drop_requests(p)
  if p.inbox then H.end_subscription(p.inbox) end
  if p.events then H.end_subscription(p.events) end
  for _, ch in next, p.topics or NONE do H.end_subscription(ch) end
  p.hold = OVER
  p.held, p.main, p.env, p.inbox, p.box, p.events, p.topics, p.waiting, p.event_waiting, p.data, p.channels = nil
end
H.bury = bury

-- "stack traceback" without the frames of the host.
local function script_stack(co, message)
  local lines = {}
  for line in gmatch(traceback(co), "[^\n]+") do
    if not find(line, "^%s*host:") and not find(line, "^%s*%[lua%]:")
      and not find(line, "[C]: in ?", 1, true) then
      lines[#lines + 1] = line
    end
  end
  return message .. "\n" .. concat(lines, "\n")
end

H.script_stack = script_stack

-- Python: the line of the script where the main coroutine of a process waits, or nothing.
function H.place(idx)
  local p = procs[idx]
  local main = p and p.main
  if not main or not main.co then return nil end
  local ok, stack = pcall(script_stack, main.co, "")
  return ok and match(stack, "\n%s*([^%s%[][^\n]-:%d+): in") or nil
end

-- An error value as message and state; reads raw only, never runs script code.
function H.error_text(err)
  local e = H.error(err)
  if e then return e.message, e end
  local t = type(err)
  if t == "string" or t == "number" then return tostring(err) end
  if t == "boolean" or err == nil then return "(error object is " .. tostring(err) .. ")" end
  return "(error object is a " .. t .. " value)"
end

-- A record that will not go on holds nothing: whoever still has it may be on the stack.
local function strip(rec)
  rec.co, rec.v, rec.args, rec.res, rec.item, rec.case, rec.waiters = nil
end

local function exit_error(p, kind, message, retryable, stack, shape, ...)
  post("exit", p.idx, 0, 6 + select("#", ...), false, kind, message, retryable, stack, shape, ...)
  bury(p)
end
H.exit_error = exit_error

local function exit_with(p, e, stack)
  if e.details == nil then return exit_error(p, e.kind, e.message, e.retryable, stack) end
  local function done(shape, ...)
    if shape == nil then return exit_error(p, e.kind, e.message, e.retryable, stack) end
    return exit_error(p, e.kind, e.message, e.retryable, stack, shape, ...)
  end
  return done(H.flatten(e.details))
end

local function report(rec, err)
  local p = rec.proc
  local killing = R.killing
  if killing then
    local kind, message = killing[1], killing[2]
    return exit_error(p, kind, message, false, script_stack(rec.co, message))
  end
  local message, e = H.error_text(H.located(err, rec.co))
  if message == "not enough memory" then
    return exit_error(p, "RateLimited", "memory limit exceeded", false, nil)
  end
  local stack = script_stack(rec.co, message)
  if e then return exit_with(p, e, e.stack or stack) end
  return exit_error(p, "Internal", message, nil, stack)
end

-- End a process for lack of memory. What it holds goes first, because this allocates.
local function out_of_memory(p)
  local idx = p.idx
  bury(p)
  if R.cur and R.cur.proc == p then strip(R.cur) end
  H.let_go(p, strip)
  H.drop_work()
  post("exit", idx, 0, 6, false, "RateLimited", "memory limit exceeded", false, nil, nil)
end
H.out_of_memory = out_of_memory

-- After a process had to go: collect, and set where the next one has to.
local function recover()
  H.drop_work()
  memory("collect")
  local level = memory("count")
  local limit = level <= SOFT and SOFT or level + 1024
  R.level, R.limit = level, limit < BRIM and limit or BRIM
end

function H.crash(rec, err)
  local p = rec.proc
  local ok = pcall(report, rec, err)
  strip(rec)
  if not ok and not p.dead then out_of_memory(p) end
  if memory("count") > SOFT then recover() end
end

-- The state is over its limit (lua_bridge.md 3.4): collect, and if that is not enough end the
-- process that has grown most. What each step adds is booked on its process; the collector works
-- in proportion to allocation, so garbage is mostly subtracted from whoever made it.
-- What a sender left in a neighbour's mailbox stays when the sender goes; the neighbour gets a
-- megabyte more to work it off, up to half of the slack.
local function relieve()
  memory("collect")
  local level = memory("count")
  R.level = level
  if level <= SOFT then
    R.limit = SOFT
    return
  end
  if level < R.limit then return end
  local worst
  for idx, p in next, procs do
    if not worst or p.grown > worst.grown or p.grown == worst.grown and idx < worst.idx then worst = p end
  end
  if not worst then return end
  out_of_memory(worst)
  recover()
end
H.relieve = relieve

local function exit_value(p, shape, ...)
  if shape == nil then return exit_with(p, H.error((...)), nil) end
  post("exit", p.idx, 0, 2 + select("#", ...), true, shape, ...)
  bury(p)
end

-- main returned (E20-E25)
local function conclude(p, value, second)
  if second ~= nil then
    if type(second) == "string" then return exit_error(p, "Internal", second, nil, nil) end
    local e = H.error(second)
    if e then return exit_with(p, e, e.stack) end
  end
  return exit_value(p, H.flatten(value))
end

function H.finish(p, value, second)
  if not pcall(conclude, p, value, second) and not p.dead then out_of_memory(p) end
end

-- Nothing can wake this process any more (G7).
local function settle(p)
  if p.live == 0 and p.wakers == 0 and not p.dead and p.started then
    exit_error(p, "Internal", "deadlock: all coroutines blocked", nil, nil)
  end
end
H.settle = settle

