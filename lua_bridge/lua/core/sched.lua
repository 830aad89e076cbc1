-- The scheduler of one state: coroutines of many processes, stepped in batches.
--
-- Promises: G1-G7 (switching only at blocking operations, deadlock detection), TM8 (where slicing
-- works a long step is cut and others get their turn meanwhile).
--
-- A coroutine of a process has a record: {co, proc, results of the last wait}. Whatever blocks it
-- keeps the record and calls H.wake(record) exactly once; it is resumed with rec.v and rec.ok.
-- What a coroutine yields says why:
--   WAIT[, queue] blocked    YIELD, ... user yield    RETURN, ... end of a user coroutine
--   nothing at all  preempted by the instruction hook
-- The markers are private tables, so no script can forge them (lua_bridge.md section 7).
local H = ...
local raw = H.raw
local next, setmetatable = raw.next, raw.setmetatable
local resume, yield, status, isyieldable = raw.coroutine.resume, raw.coroutine.yield, raw.coroutine.status, raw.coroutine.isyieldable
local unpack, pack, pcall = raw.table.unpack, raw.table.pack, raw.pcall
local memory, clock = raw.collectgarbage, raw.os.clock
local R, KILL, settle, measure = H.R, H.KILL, H.settle, H.measure

local function WAIT() end                   -- no table: what a script's main returns is compared with
local YIELD, RETURN, DONE = {}, {}, {}      -- it, and could have a hostile __eq
H.WAIT, H.YIELD, H.RETURN, H.DONE = WAIT, YIELD, RETURN, DONE

local QUANTUM, MAX_COROUTINES = H.config.quantum, H.config.max_coroutines
local HALF = H.config.soft_kb / 2           -- below this no queue can grow so much that memory ends
local MESSAGE = 0.25                        -- KB that a message takes, besides what it carries
local LOOK = 16                             -- steps between two looks at the clock
local FIRST = -1                            -- `used` of a record that has not begun

local preempted = false                     -- the last step was cut short
-- Coroutines that can go on: `batch` is being stepped, `ready` is filled meanwhile. Two lists that
-- change places, because a queue that creeps through a Lua table is rehashed again and again.
local batch, head, last = {}, 1, 0
local ready, tail = {}, 0
local route, tick                           -- put a message into a mailbox; end a turn (mailbox.lua)
function H.set_route(f, g) route, tick = f, g end

-- ---------------------------------------------------------------- waiting and waking

local function enqueue(rec)
  tail = tail + 1
  ready[tail] = rec
end

-- `live` counts the coroutines of a process that are queued here or held.
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
  if not cur or not cur.proc.pid then H.raise("cannot block while the chunk is being loaded") end
  if cur.nb > 0 or not isyieldable() then
    H.raise("cannot block here: inside a callback of a C function such as table.sort")
  end
  return cur
end
H.blocking = blocking

local function park() return yield(WAIT) end
H.park = park

function H.current()
  local cur = R.cur
  local p = cur and cur.proc
  if not p or not p.pid then return nil end
  if not p.data then p.data = {} end
  return p
end
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

-- ---------------------------------------------------------------- steps

-- Step a process by this one coroutine next: the others are held until it has had its turn (G3).
local function release(p)
  p.hold = nil
  local held = p.held
  if held then
    p.held = nil
    for i = 1, #held do enqueue(held[i]) end
  end
end

-- May this coroutine of a process with `hold` go on? A process that is gone has it, too.
local function comes_first(rec, p)
  if p.hold == rec then
    release(p)
    return true
  end
  if not p.dead then
    p.live = p.live + 1
    local held = p.held
    if held then held[#held + 1] = rec else p.held = { rec } end
  end
  return false
end

-- What a step led to that did not just block.
local function stepped(rec, ok, tag, a)
  local p = rec.proc
  if p.dead then return end
  if not ok then return H.crash(rec, tag) end
  if tag == WAIT then return end
  if status(rec.co) == "dead" then
    if rec == p.main then return H.finish(p, tag, a) end
    p.ncos = p.ncos - 1
    return settle(p)
  end
  if tag == nil then            -- preempted: nothing else of this process may run before it (G3)
    R.used = R.used + 1
    rec.used = R.used
    if R.used * QUANTUM > p.instructions then
      R.killing = { "RateLimited", "instruction limit exceeded" }
      return H.crash(rec, KILL)
    end
    p.hold = rec
    preempted = true
  end
  wake(rec)
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

-- Nothing keeps the coroutines of this process that can go on.
function H.let_go(p, strip)
  for i = head, last do
    if batch[i].proc == p then strip(batch[i]) end
  end
  for i = 1, tail do
    if ready[i].proc == p then strip(ready[i]) end
  end
end

-- Drop a coroutine that was preempted; the others of its process go on.
function H.abandon(rec)
  local p = rec.proc
  rec.proc = H.GONE
  p.live, p.ncos = p.live - 1, p.ncos - 1
  release(p)
end

-- Resume what has not begun, or was preempted and has used a part of its budget.
local function resume_used(rec)
  local used, args = rec.used, rec.args
  rec.used = 0
  R.used = used == FIRST and 0 or used
  if not args then return resume(rec.co) end
  rec.args = nil
  return resume(rec.co, unpack(args, 1, args.n))
end

-- The last message of a step goes into a mailbox where memory is short: that may fail, and ends the
-- sender.
local function hand_over(p, to)
  local topic, payload = R.topic, R.payload
  R.to, R.payload = nil, nil
  if not pcall(H.post_message, to, topic, p.pid, payload) and not p.dead then H.out_of_memory(p) end
end

-- Step at most n coroutines, or until one is preempted: first this one, if any, then those in the
-- queue -> the one that is next. All in one piece, because most of what a message costs is here.
local function steps(n, rec)
  local r = R
  for _ = 1, n do
    if not rec then
      if head > last then
        if tail == 0 then return nil end
        batch, ready = ready, batch
        head, last, tail = 1, tail, 0
      end
      rec = batch[head]
      batch[head] = false
      head = head + 1
      rec.proc.live = rec.proc.live - 1
    end
    local p, woken = rec.proc, nil
    if not p.hold or comes_first(rec, p) then
      r.cur = rec
      r.killing = false
      local ok, tag, queue
      if rec.used == 0 then
        r.used = 0
        local v = rec.v
        rec.v = nil
        ok, tag, queue = resume(rec.co, v, rec.ok)
      else ok, tag, queue = resume_used(rec) end
      if tag == WAIT and not p.dead then
        if queue then queue[#queue + 1] = rec end  -- where it waits
        if p.live == 0 and p.wakers == 0 then settle(p) end
      else stepped(rec, ok, tag, queue) end
      local now, to = memory("count"), r.to
      if to then now = now + MESSAGE end        -- booked on the sender, roughly
      p.grown = p.grown + (now - r.level)
      r.level = now
      if now > r.limit then H.relieve() end
      if to then                                -- the last message it sent (process.lua)
        if now < HALF then
          woken = route(to, r.topic, p.pid, r.payload)
          r.to = nil
          r.payload = nil
          if woken and (head <= last or tail > 0) then
            wake(woken)                         -- others are before it
            woken = nil
          end
        else hand_over(p, to) end
      end
      if preempted then return woken end
    end
    rec = woken
  end
  return rec
end

local function new_record(p, f)
  local rec = { proc = p, nb = 0, used = FIRST, co = nil, v = nil, ok = nil, args = nil }
  if f then
    rec.co = H.newco(f)
    H.process_coroutines[rec.co] = true
  end
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
  wake(rec)
  return rec.co
end

-- The main coroutine of a process, not begun: method(args...). The method itself will be its body:
-- one frame more would double the coroutine's stack.
function H.make_main(p, method, args)
  local rec = new_record(p)
  rec.v = method
  if args and args.n > 0 then rec.args = args end
  p.main = rec
end

function H.start_main(p)
  local rec = p.main
  local method = rec.v
  rec.v = nil
  rec.co = H.newco(method)
  H.process_coroutines[rec.co] = true
  p.started = true
  wake(rec)
end

-- Python: step at most `steps` coroutines, or about `seconds` -> what is left, n, n outbox items.
-- What is left: true for more steps, else when the next timer is due, or false.
function H.run(count, seconds)
  local rec, stop
  measure()
  while count > 0 do
    preempted = false
    rec = steps(count < LOOK and count or LOOK, rec)
    if not rec and head > last and tail == 0 then break end
    local now = clock()                       -- a system call: not before there is a reason
    stop = stop or now + (preempted and seconds / 3 or seconds)
    if now > stop or H.outbox_full() then break end
    count = count - LOOK
  end
  if rec then wake(rec) end
  R.cur = nil
  tick()
  return H.flush(head <= last or tail > 0 or H.next_due())
end

-- Python: end a process from outside.
function H.kill(idx)
  local p = H.procs[idx]
  if p then H.bury(p) end
end

-- Chunks are loaded in one coroutine, each after the other: one for each would be most of the work.
local loader

local function serve(f, ...) return serve(yield(f(...))) end

-- Run f(...), which returns DONE and values, to its end in a hooked coroutine that may not block.
-- -> true, values... | false, message, error state or nil, stack
function H.run_now(p, f, ...)
  local outer, outer_used = R.cur, R.used
  local rec = loader or new_record(p, serve)
  loader, rec.proc, rec.nb = nil, p, 1
  R.cur, R.killing, R.used = rec, false, 0
  local function after(ok, tag, ...)
    if ok and tag == nil then
      R.used = R.used + 1
      if not H.exhausted() then return after(resume(rec.co)) end
      ok, tag, R.killing = false, KILL, { "RateLimited", "instruction limit exceeded" }
    end
    if ok and tag == DONE and R.used == 0 then loader = rec end -- its hook is as it was
    R.cur, R.used, rec.proc = outer, outer_used, H.GONE
    if ok then
      if tag ~= DONE then return false, "cannot block while the chunk is being loaded" end
      return true, ...
    end
    local killing = R.killing
    if killing then
      local message = killing[2]
      return false, message, { kind = killing[1], message = message, retryable = false }, H.script_stack(rec.co, message)
    end
    local message, e = H.error_text(tag)
    return false, message, e, H.script_stack(rec.co, message)
  end
  return after(resume(rec.co, f, ...))
end
