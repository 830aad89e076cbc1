-- The scheduler of one state: coroutines of many processes, stepped in batches.
--
-- Promises: G1-G7 (switching only at blocking operations, deadlock detection), TM8 (a step has an
-- instruction budget; where slicing works other processes get their turn meanwhile), T6 (a killed
-- process runs no more code: its coroutines are dropped, never closed).
--
-- A coroutine of a process has a record: {co, proc, results of the last wait}. Whatever blocks it
-- keeps the record and calls H.wake(record) exactly once. What a coroutine yields says why:
--   WAIT[, queue] blocked    YIELD, ... user yield    RETURN, ... end of a user coroutine
--   nothing at all  preempted by the instruction hook
-- The markers are private tables, so no script can forge them (lua_bridge.md section 7).
local H = ...
local raw = H.raw
local type, next, select, error, tostring = raw.type, raw.next, raw.select, raw.error, raw.tostring
local create, resume, yield, running = raw.coroutine.create, raw.coroutine.resume, raw.coroutine.yield, raw.coroutine.running
local isyieldable, status = raw.coroutine.isyieldable, raw.coroutine.status
local sethook, getinfo, traceback, clock = raw.debug.sethook, raw.debug.getinfo, raw.debug.traceback, raw.os.clock
local unpack, pack, concat, move = raw.table.unpack, raw.table.pack, raw.table.concat, raw.table.move
local gmatch, sub, find = raw.string.gmatch, raw.string.sub, raw.string.find
local pcall, memory = raw.pcall, raw.collectgarbage

local function WAIT() end                   -- no table: what a script's main returns is compared with
local YIELD, RETURN, DONE, KILL = {}, {}, {}, {} -- it, and could have a hostile __eq
local FIRST = -1                            -- `used` of a record that has not begun
H.WAIT, H.YIELD, H.RETURN, H.KILL = WAIT, YIELD, RETURN, KILL

local QUANTUM = H.config.quantum            -- instructions between two looks of the hook
local sliced = H.config.sliced              -- a C hook preempts; else a Lua hook kills only
local MAX_COROUTINES = H.config.max_coroutines

local R = {}                                -- R.cur: record of the running coroutine
H.R = R
local stepping                              -- the record of the step under way, until it has been dealt with
local killing = false                       -- false, or {kind, message} of the limit that was hit
local used = 0                              -- hook calls in this step
local retry = 1                             -- of a small random generator
local preempted = false                     -- the last step was cut short
-- Coroutines that can go on: `batch` is being stepped, `ready` is filled meanwhile. Two lists that
-- change places, because a queue that creeps through a Lua table is rehashed again and again.
local batch, head, last = {}, 1, 0
local ready, tail = {}, 0
local out, on = {}, 0                       -- outbox: code, process, request, n, n arguments, ...
local procs = {}                            -- index -> process
local SOFT = H.config.soft_kb               -- KB of the whole state
local level = 0                             -- KB in use after the last step
local limit = SOFT                          -- KB at which the next process has to go
H.procs = procs

-- ---------------------------------------------------------------- limits

function H.kill_step(kind, message)
  killing = killing or { kind, message }
  error(KILL, 0)
end
function H.killing() return killing end

-- A slice is over where the coroutine cannot yield: it goes on, if its budget allows.
function H.spend()
  used = used + 1
  if used * QUANTUM > (R.cur and R.cur.proc.instructions or H.config.instructions) then
    H.kill_step("RateLimited", "instruction limit exceeded")
  end
end

-- Lua hook, for states that are not sliced: counts, and ends the step by an error that the
-- wrappers of pcall and coroutines pass on (sandbox.lua).
local function hook()
  used = used + 1
  if killing or used * QUANTUM > (R.cur and R.cur.proc.instructions or H.config.instructions) then
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
  used = 1 << 40
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

-- ---------------------------------------------------------------- outbox

local function post(code, proc, request, n, ...)
  local at = on
  out[at + 1], out[at + 2], out[at + 3], out[at + 4] = code, proc, request, n
  if n <= 4 then out[at + 5], out[at + 6], out[at + 7], out[at + 8] = ...
  else move({ ... }, 1, n, at + 5, out) end
  on = at + 4 + n
end
H.out = post

-- ---------------------------------------------------------------- waiting and waking

local function wake(rec)
  local p = rec.proc
  if p.dead then return end
  p.live = p.live + 1
  tail = tail + 1
  ready[tail] = rec
end
H.wake = wake

-- Record of the running coroutine, which is about to block; raises where blocking is impossible.
local function blocking()
  local cur = R.cur
  if not cur or cur.proc.loading then H.raise("cannot block while the chunk is being loaded") end
  if cur.nb > 0 or not isyieldable() then
    H.raise("cannot block here: inside a callback of a C function such as table.sort")
  end
  return cur
end
H.blocking = blocking

local function park() yield(WAIT) end
H.park = park

function H.current()
  local cur = R.cur
  local p = cur and cur.proc
  if not p or p.loading then return nil end
  if not p.data then p.data = {} end
  return p
end
function H.running_record() return R.cur end

-- setup(wake) and then block until wake(...) is called; returns what it got.
function H.block(setup)
  local rec = blocking()
  local p, done = rec.proc, false
  p.wakers = p.wakers + 1
  setup(function(...)
    if done then return end
    done = true
    p.wakers = p.wakers - 1
    rec.res = pack(...)
    wake(rec)
  end)
  park()
  local res = rec.res
  rec.res = nil
  return unpack(res, 1, res.n)
end

-- ---------------------------------------------------------------- ends

-- Forget a process: nothing of it runs any more (T6).
local function bury(p)
  p.dead = true
  procs[p.idx] = nil
  if p.pid then H.pids[p.pid] = nil end
  H.drop_timers(p)
  H.drop_requests(p)
  p.hold, p.held, p.main, p.env, p.inbox, p.events, p.topics, p.waiting, p.data = nil
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

-- An error value as message and state; reads raw only, never runs script code.
function H.error_text(err)
  local e = H.error(err)
  if e then return e.message, e end
  local t = type(err)
  if t == "string" or t == "number" then return tostring(err) end
  if t == "boolean" or err == nil then return "(error object is " .. tostring(err) .. ")" end
  return "(error object is a " .. t .. " value)"
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
  if killing then
    local kind, message = killing[1], killing[2]
    return exit_error(p, kind, message, false, script_stack(rec.co, message))
  end
  local message, e = H.error_text(err)
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
  if stepping and stepping.proc == p then stepping.co = nil end
  local function let_go(list, from, to)
    for i = from, to do
      if list[i] and list[i].proc == p then list[i].co = nil end
    end
  end
  let_go(batch, head, last)
  let_go(ready, 1, tail)
  H.drop_work()
  post("exit", idx, 0, 6, false, "RateLimited", "memory limit exceeded", false, nil, nil)
end
H.out_of_memory = out_of_memory

-- After a process had to go: collect, and set where the next one has to.
local function recover()
  memory("collect")
  level = memory("count")
  limit = level <= SOFT and SOFT or level + 1024
  if limit > H.config.brim_kb then limit = H.config.brim_kb end
end

local function crash(rec, err)
  local p = rec.proc
  local ok = pcall(report, rec, err)
  rec.co = nil
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
  level = memory("count")
  if level <= SOFT then
    limit = SOFT
    return
  end
  if level < limit then return end
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

local function finish(p, value, second)
  if not pcall(conclude, p, value, second) and not p.dead then out_of_memory(p) end
end

-- Nothing can wake this process any more (G7).
local function settle(p)
  if p.live == 0 and p.wakers == 0 and not p.dead and p.started then
    exit_error(p, "Internal", "deadlock: all coroutines blocked", nil, nil)
  end
end
H.settle = settle

-- ---------------------------------------------------------------- steps

local function requeue(rec)
  tail = tail + 1
  ready[tail] = rec
end

local function release(p)
  p.hold = nil
  local held = p.held
  if held then
    p.held = nil
    for i = 1, #held do requeue(held[i]) end
  end
end

local function stepped(rec, ok, tag, a)
  local p = rec.proc
  if p.dead then return end
  if not ok then return crash(rec, tag) end
  if status(rec.co) == "dead" then
    if rec == p.main then return finish(p, tag, a) end
    p.live = p.live - 1
    p.ncos = p.ncos - 1
    settle(p)
  elseif tag == nil then        -- preempted: nothing else of this process may run before it (G3)
    used = used + 1
    rec.used = used
    if used * QUANTUM > p.instructions then
      killing = { "RateLimited", "instruction limit exceeded" }
      return crash(rec, KILL)
    end
    p.hold = rec
    preempted = true
    requeue(rec)
  else
    requeue(rec)
  end
end

-- Is this record in a list of those that can go on?
function H.is_queued(rec)
  for i = head, last do
    if batch[i] == rec then return true end
  end
  for i = 1, tail do
    if ready[i] == rec then return true end
  end
  for _, held in next, rec.proc.held or {} do
    if held == rec then return true end
  end
  return false
end

-- Drop a coroutine that was preempted; the others of its process go on.
function H.abandon(rec)
  local p = rec.proc
  rec.proc = { dead = true }
  p.live, p.ncos = p.live - 1, p.ncos - 1
  release(p)
end

-- One step of a coroutine.
local function step(rec)
  local p = rec.proc
  if p.dead then return end
  local hold = p.hold
  if hold then
    if hold ~= rec then
      local held = p.held
      if held then held[#held + 1] = rec else p.held = { rec } end
      return
    end
    release(p)
  end
  R.cur, stepping, killing, used = rec, rec, false, rec.used
  local ok, tag, a
  if used == 0 then ok, tag, a = resume(rec.co)
  else
    rec.used = 0
    local args = rec.args
    if args then
      rec.args, used = nil, 0
      ok, tag, a = resume(rec.co, unpack(args, 1, args.n))
    else ok, tag, a = resume(rec.co) end
  end
  if tag == WAIT and not p.dead then
    if a then a[#a + 1] = rec end             -- the queue it waits in
    local live = p.live - 1
    p.live = live
    if live == 0 and p.wakers == 0 then settle(p) end
  else
    stepped(rec, ok, tag, a)
  end
  local now = memory("count")
  p.grown = p.grown + (now - level)
  level = now
  if now > limit then relieve() end
end

local function new_record(p, f)
  local rec = { proc = p, nb = 0, used = 0 }
  rec.co = H.newco(f)
  H.process_coroutines[rec.co] = true
  return rec
end
H.new_record = new_record

-- coroutine.spawn (G1)
function H.spawn(f)
  local p = H.current()
  if not p then H.raise("coroutine.spawn needs a running process") end
  local count = p.ncos or 1
  if count >= MAX_COROUTINES then H.kill_step("RateLimited", "coroutine limit exceeded") end
  p.ncos = count + 1
  local rec = new_record(p, f)
  H.process_coroutines[rec.co] = true
  wake(rec)
  return rec.co
end

-- The main coroutine of a process: method(args...). The method itself is its body: one frame more
-- would double the coroutine's stack.
function H.start_main(p, method, args)
  local rec = new_record(p, method)
  p.main, p.started = rec, true
  if args.n > 0 then rec.args, rec.used = args, FIRST end
  wake(rec)
end

local function flush(more)
  local list, count = H.take_released()
  for i = 1, count, 2 do
    if procs[list[i]] then post("release", list[i], 0, 1, list[i + 1]) end
  end
  if on == 0 then return more, 0 end
  local sent, n = out, on
  out, on = {}, 0
  return more, n, unpack(sent, 1, n)
end

-- Python: step at most `steps` coroutines, or about `seconds` -> what is left, n, n outbox items.
-- What is left: true for more steps, else when the next timer is due, or false.
function H.run(steps, seconds)
  local left, stop = steps, nil
  level = memory("count")
  while left > 0 do
    if head > last then
      if tail == 0 then break end
      batch, ready = ready, batch
      head, last, tail = 1, tail, 0
    end
    local rec = batch[head]
    batch[head] = false
    head = head + 1
    step(rec)
    left = left - 1
    if preempted or left & 7 == 0 then
      local now = clock()                     -- a system call: not before there is a reason
      stop = stop or now + (preempted and seconds / 2 or seconds)
      preempted = false
      if now > stop or on > 20000 then break end
    end
  end
  R.cur = nil
  return flush(head <= last or tail > 0 or H.next_due())
end

-- Python: end a process from outside.
function H.kill(idx)
  local p = procs[idx]
  if p then bury(p) end
end

-- Run f() to its end in a hooked coroutine that may not block; used for chunks.
-- -> true, results... | false, message, error state or nil, stack
function H.run_now(p, f, ...)
  local outer, outer_used = R.cur, used
  local rec = new_record(p, f)
  rec.nb = 1
  R.cur, killing, used = rec, false, 0
  local function after(ok, tag, ...)
    if ok and tag == nil then
      used = used + 1
      if used * QUANTUM > p.instructions then ok, tag, killing = false, KILL, { "RateLimited", "instruction limit exceeded" }
      else return after(resume(rec.co)) end
    end
    R.cur, used = outer, outer_used
    if ok then
      if tag ~= DONE then return false, "cannot block while the chunk is being loaded" end
      return true, ...
    end
    if killing then
      local message = killing[2]
      return false, message, { kind = killing[1], message = message, retryable = false }, script_stack(rec.co, message)
    end
    local message, e = H.error_text(tag)
    return false, message, e, script_stack(rec.co, message)
  end
  return after(resume(rec.co, ...))
end
H.DONE = DONE
