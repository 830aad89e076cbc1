-- Timers of the processes of one state: a heap by due time, in nanoseconds of the node's clock (TS3).
--
-- Python keeps one alarm per host. It learns with each turn when the next timer is due, and says
-- when the time has come; what is due then fires in the order of the due times, so many in each turn.
-- A stopped timer never fires: its entry loses its process and stays until it comes up, or until half
-- of the heap is such entries.
local H = ...
local raw = H.raw
local pcall, error, count = raw.pcall, raw.error, raw.collectgarbage
local R, MAX, NEVER = H.R, H.config.max_timers, raw.math.maxinteger
local AT_ONCE = 64                            -- in one turn: half a millisecond
local mono, wall, brim = H.config.mono, H.config.wall, H.config.brim_kb

local dues, entries, size = {}, {}, 0
local stale, made = 0, 0
local firing = { nb = 1 }                     -- what runs while timers fire: host code that may not block

-- Now, for the host. Python's result may not be pushed over the memory limit (Z4).
function H.now()
  if count("count") > brim then error("not enough memory", 0) end
  return mono()
end
local now = H.now

-- The wall clock of the process's host: nanoseconds since 1970, to the microsecond.
function H.wall()
  if count("count") > brim then error("not enough memory", 0) end
  local p = H.current()
  return wall(p and p.idx or 0)
end

local function before(a, b, i, j)
  if a ~= b then return a < b end
  return entries[i].order < entries[j].order
end

local function up(i)
  local due, t = dues[i], entries[i]
  while i > 1 do
    local parent = i // 2
    if not before(due, dues[parent], i, parent) then break end
    dues[i], entries[i] = dues[parent], entries[parent]
    dues[parent], entries[parent] = due, t
    i = parent
  end
end

local function down(i)
  local due, t = dues[i], entries[i]
  while true do
    local child = 2 * i
    if child > size then break end
    if child < size and before(dues[child + 1], dues[child], child + 1, child) then child = child + 1 end
    if not before(dues[child], due, child, i) then break end
    dues[i], entries[i] = dues[child], entries[child]
    dues[child], entries[child] = due, t
    i = child
  end
end

local function remove_first()
  dues[1], entries[1] = dues[size], entries[size]
  dues[size], entries[size] = nil, nil
  size = size - 1
  if size > 1 then down(1) end
end

-- Entries that never fire are dropped when they are half of the heap.
local function lapsed(n)
  stale = stale + n
  if stale <= 64 or stale * 2 <= size then return end
  local kept = 0
  for i = 1, size do
    local p = entries[i].proc
    if p and not p.dead then
      kept = kept + 1
      dues[kept], entries[kept] = dues[i], entries[i]
    end
  end
  for i = kept + 1, size do dues[i], entries[i] = nil, nil end
  size, stale = kept, 0
  for i = size // 2, 1, -1 do down(i) end
end

-- When the next timer is due, or false.
function H.next_due()
  while size > 0 do
    local p = entries[1].proc
    if p and not p.dead then return dues[1] end
    remove_first()
    stale = stale > 0 and stale - 1 or 0
  end
  return false
end

-- fn(due, now) is called in host context at a time of the clock: it must not block, or raise for any other
-- reason than lack of memory. If it returns a time the timer goes on, and is due then.
function H.timer_at(due, fn)
  local p = R.cur and R.cur.proc
  if not p or not p.pid then H.raise("timers need a running process") end
  local held = p.ntimers or 0
  if held >= MAX then H.kill_step("RateLimited", "timer limit exceeded") end
  made = made + 1
  local t = { proc = p, fn = fn, order = made }
  p.ntimers = held + 1
  p.wakers = p.wakers + 1
  size = size + 1
  dues[size], entries[size] = due, t
  up(size)
  return t
end

-- The same so many nanoseconds from now.
function H.timer(ns, fn)
  local at = now()
  return H.timer_at(ns < NEVER - at and at + ns or NEVER, fn)
end

local function finished(t)
  local p = t.proc
  t.proc, t.fn = nil, nil
  p.ntimers = p.ntimers - 1
  p.wakers = p.wakers - 1
  return p
end

-- True if it was still pending.
function H.stop_timer(t)
  local p = t.proc
  if not p or p.dead then return false end
  finished(t)
  lapsed(1)
  return true
end

-- A process is gone, and with it its timers.
function H.drop_timers(p)
  if p.ntimers and p.ntimers > 0 then lapsed(p.ntimers) end
end

local function fire(t, at)
  local p = t.proc
  firing.proc, R.cur = p, firing
  local ok, again = pcall(t.fn, dues[1], at)
  R.cur, firing.proc = nil, nil
  if not ok then return H.out_of_memory(p) end
  if again and t.proc then
    dues[1] = again
    down(1)
    return
  end
  remove_first()                                -- what fn made is due later, so this is still the first
  if t.proc then H.settle(finished(t)) end
end

-- Python: the time of the clock. What is left when enough have fired is due at once, in a turn of its own:
-- a script with many timers keeps nobody waiting.
function H.fire(at)
  local due, left = H.next_due(), AT_ONCE
  while due and due <= at and left > 0 do
    fire(entries[1], at)
    due, left = H.next_due(), left - 1
  end
end

-- Python: the same, followed by a turn.
function H.fire_run(steps, seconds, at)
  H.fire(at)
  return H.run(steps, seconds)
end
