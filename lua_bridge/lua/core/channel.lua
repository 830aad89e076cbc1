-- Channels and select (spec 9.1, 9.2): pure semantics over H.blocking, H.park and H.wake.
--
-- State of a channel: buf[head .. head+n-1] values, cap, closed, recvq and sendq (waiters, oldest
-- first); of a subscription also proc, slot, topic, message and convert (mailbox.lua). A waiter is the record of a coroutine
-- (plain send or receive), or one case of a waiting select: {rec, sel, case}. Exactly one case of
-- a select takes effect: taking it removes its siblings from their queues (X3).
local H = ...
local raw = H.raw
local type, next, remove, rawlen = raw.type, raw.next, raw.table.remove, raw.rawlen
local mathtype, floor = raw.math.type, raw.math.floor
local S, new, getmt = H.S, H.new, raw.debug.getmetatable
local wake, park, blocking, raise = H.wake, H.park, H.blocking, H.raise
local move, yield, WAIT, R = raw.table.move, raw.coroutine.yield, H.WAIT, H.R
local CLOSED = "send on closed channel"
local MAX_CHANNELS = H.config.max_channels
local KEPT = 64                               -- waiters of a select that a record keeps for the next
local RECEIVE_ONLY = "cannot send on a mailbox channel; use process.send"

local methods, class, case_class = {}, nil, nil
class = H.class("channel", methods)
case_class = H.class("channel.case", {})
H.channel_class = class

-- ---------------------------------------------------------------- queues of waiters

local function drop_waiter(queue, waiter)
  if queue[1] == waiter and queue[2] == nil then
    queue[1] = nil
    return
  end
  for i = 1, #queue do
    if queue[i] == waiter then
      remove(queue, i)
      return
    end
  end
end

-- The oldest waiter of a queue; a select loses its other cases with that.
local function pop(queue)
  local w = queue[1]
  if w == nil then return nil end
  if queue[2] == nil then queue[1] = nil else remove(queue, 1) end
  local sel = w.sel
  if sel then
    for i = 1, sel.n do
      local other = sel[i]
      if other ~= w then drop_waiter(other.queue, other) end
    end
  end
  return w
end

-- ---------------------------------------------------------------- handing over

-- Give a waiting receiver its value.
local function deliver(st, w, v, ok)
  if ok and st.convert then v = st.convert(st, v) end
  local rec = w
  if w.sel then
    rec = w.rec
    rec.case = w.case
  end
  rec.v, rec.ok = v, ok
  return wake(rec)
end

-- A waiting sender's value was taken.
local function sent(w)
  local rec = w
  if w.sel then
    rec = w.rec
    rec.case = w.case
  end
  rec.ok = true
  return wake(rec)
end

local function refuse_sender(w)
  local rec = w.sel and w.rec or w
  rec.ok = false
  return wake(rec)
end

local function enqueue(st, v)
  local n = st.n
  st.buf[st.head + n] = v
  st.n = n + 1
end

local function dequeue(st)
  local head, n, buf = st.head, st.n - 1, st.buf
  local v = buf[head]
  buf[head] = nil
  st.n = n
  if n == 0 then st.head = 1
  elseif head >= 64 and head > n then        -- move down, or the table would be rehashed for ever
    move(buf, head + 1, head + n, 1)
    for i = n + 1, head + n do buf[i] = nil end
    st.head = 1
  else st.head = head + 1 end
  return v
end

-- Try to send -> true when done, false when it has to wait. The channel is open.
local function try_send(st, v)
  local w = pop(st.recvq)
  if w then
    deliver(st, w, v, true)
    return true
  end
  if st.n < st.cap then
    enqueue(st, v)
    return true
  end
  return false
end

-- Try to receive -> ready, value, ok
local function try_receive(st)
  if st.n > 0 then
    local v = dequeue(st)
    local w = pop(st.sendq)
    if w then                          -- the oldest waiting value moves in: total order (H5)
      enqueue(st, w.item)
      sent(w)
    end
    if st.convert then v = st.convert(st, v) end
    return true, v, true
  end
  local w = pop(st.sendq)
  if w then
    local v = w.item
    sent(w)
    return true, v, true
  end
  if st.closed then return true, nil, false end
  return false
end

local function close(st)
  if st.closed then return end
  st.closed = true
  local w = pop(st.recvq)
  while w do
    deliver(st, w, nil, false)
    w = pop(st.recvq)
  end
  w = pop(st.sendq)
  while w do
    refuse_sender(w)
    w = pop(st.sendq)
  end
end

-- ---------------------------------------------------------------- the host's side

function H.channel(size)
  local st = { buf = {}, head = 1, n = 0, cap = size or 0, recvq = {}, sendq = {} }
  local ch = new(class, st)
  st.obj = ch
  return ch
end

-- A channel that only the host sends to, without bound: nobody ever waits to send.
local NOBODY = {}
local subscriptions = {}                      -- open channel -> state: found without asking for a metatable
function H.subscription(proc, slot, topic, convert)
  local st = {
    buf = {}, head = 1, n = 0, cap = raw.math.huge, recvq = {}, sendq = NOBODY,
    proc = proc, slot = slot or topic, convert = convert,
  }
  local ch = new(class, st)
  st.obj = ch
  subscriptions[ch] = st
  return ch
end

-- This is no open subscription any more, or its process is gone.
function H.end_subscription(ch) subscriptions[ch] = nil end

-- Hand v over without blocking -> done?; false when closed or full.
function H.push(ch, v)
  local st = ch[S]
  return not st.closed and try_send(st, v)
end

function H.close(ch) close(ch[S]) end
-- Closes and drops what nobody has read.
function H.discard(ch)
  local st = ch[S]
  st.buf, st.head, st.n = {}, 1, 0
  close(st)
end
H.close_state, H.send_state = close, try_send

-- ---------------------------------------------------------------- methods

local function state(ch, method)
  if type(ch) == "table" and getmt(ch) == class then return ch[S] end
  return H.self(ch, class, method)
end

function methods.send(ch, v)
  if getmt(ch) ~= class then H.self(ch, class, "send") end
  local st = ch[S]
  if st.closed then raise(CLOSED) end
  if st.proc then raise(RECEIVE_ONLY) end
  local w = st.recvq[1]
  if w and not w.sel and not st.convert then      -- the common case of try_send
    local queue = st.recvq
    if queue[2] == nil then queue[1] = nil else remove(queue, 1) end
    w.v, w.ok = v, true
    wake(w)
    return true
  end
  if try_send(st, v) then return true end
  local rec = R.cur
  if not rec or rec.nb > 0 then blocking() end    -- raises
  rec.item = v
  yield(WAIT, st.sendq)
  rec.item = nil
  if not rec.ok then raise(CLOSED) end
  return true
end

function methods.receive(ch)
  local st = subscriptions[ch]
  if st then                                  -- open, and nobody waits to send
    local rec = R.cur
    if st.n == 0 and rec and rec.nb == 0 then return yield(WAIT, st.recvq) end
  else
    if getmt(ch) ~= class then H.self(ch, class, "receive") end
    st = ch[S]
  end
  if st.n > 0 or st.sendq[1] or st.closed then
    local _, v, ok = try_receive(st)
    return v, ok
  end
  local rec = R.cur
  if not rec or rec.nb > 0 then blocking() end    -- raises
  return yield(WAIT, st.recvq)                -- raises inside a callback of a C function
end

function methods.close(ch)
  local st = state(ch, "close")
  if st.proc and not st.closed then return H.unsubscribe(st) end
  close(st)
end

function methods.case_send(ch, v)
  local st = state(ch, "case_send")
  if st.proc then raise(RECEIVE_ONLY) end
  return new(case_class, { st = st, send = true, item = v })
end

-- One object per channel: a case can be used again and in several selects (X7).
function methods.case_receive(ch)
  local st = getmt(ch) == class and ch[S] or state(ch, "case_receive")
  local case = st.case
  if not case then
    case = new(case_class, { st = st, send = false })
    st.case = case
  end
  return case
end

-- ---------------------------------------------------------------- select

local function result(case, v, ok)
  if case.send then return { channel = case.st.obj, value = case.item, ok = true } end
  return { channel = case.st.obj, value = v, ok = ok }
end

-- The first ready case of the list (X2), or nil.
local function try_cases(cases, count)
  for i = 1, count do
    local case = cases[i]
    local st = case.st
    if case.send then
      if st.closed then raise(CLOSED) end
      if try_send(st, case.item) then return result(case) end
    else
      local ready, v, ok = try_receive(st)
      if ready then return result(case, v, ok) end
    end
  end
  return nil
end

-- The waiters of a record are used again: when it goes on none of them is in a queue any more.
local function wait_cases(cases, count)
  local rec = blocking()
  local sel = rec.waiters
  if not sel then
    sel = {}
    rec.waiters = sel
  end
  sel.n = count
  for i = 1, count do
    local case = cases[i]
    local queue = case.send and case.st.sendq or case.st.recvq
    local w = sel[i]
    if not w then
      w = { rec = rec, sel = sel, case = case, queue = queue, item = case.item }
      sel[i] = w
    else
      w.case, w.queue, w.item = case, queue, case.item
    end
    queue[#queue + 1] = w
  end
  local v = park()
  local case = rec.case
  rec.case = nil
  if count > KEPT then rec.waiters = nil end
  for i = 1, count do
    local w = sel[i]
    w.case, w.queue, w.item = nil, nil, nil
  end
  if rec.ok == false and (not case or case.send) then raise(CLOSED) end
  return result(case, v, rec.ok)
end

-- The cases of a script's list, checked before any is tried (X7) -> cases, how many, default.
local function read_cases(list)
  if type(list) ~= "table" or getmt(list) and H.opaque[getmt(list)] then
    H.argerror(1, "select", "table of cases", list)
  end
  local cases, count, fields = {}, rawlen(list), 0
  for i = 1, count do
    local item = list[i]
    if type(item) ~= "table" or getmt(item) ~= case_class then
      raise("bad case #" .. i .. " in select (case_send or case_receive expected, got " .. H.typename(item) .. ")")
    end
    cases[i] = item[S]
  end
  for _ in next, list do fields = fields + 1 end
  if fields > count then
    for k in next, list do
      if not (k == "default" or mathtype(k) == "integer" and k >= 1 and k <= count) then
        raise("bad case in select: field " .. raw.tostring(H.text(k) or type(k)))
      end
    end
  end
  return cases, count, list.default
end

local function select(list, default)
  local cases, count, own = read_cases(list)
  local res = try_cases(cases, count)
  if res then return res end
  if own == true or default == true then return { default = true, ok = true } end
  return wait_cases(cases, count)
end

local function create(size)
  if size ~= nil then
    local n = mathtype(size) == "integer" and size or type(size) == "number" and floor(size) == size and floor(size)
    if not n then H.argerror(1, "new", "integer", size) end
    size = n
  end
  local p = H.running_record()
  p = p and p.proc
  if p then
    p.nchannels = (p.nchannels or 0) + 1
    if p.nchannels > MAX_CHANNELS and H.count_channels(p) >= MAX_CHANNELS then
      H.kill_step("RateLimited", "channel limit exceeded")
    end
  end
  local ch = H.channel(size and size > 0 and size or 0)
  if p then
    p.channels = p.channels or raw.setmetatable({}, { __mode = "k" })
    p.channels[ch] = true
  end
  return ch
end

-- Channels of the process that are still in use: those alive after a collection.
function H.count_channels(p)
  raw.collectgarbage()
  local n = 0
  for _ in next, p.channels or {} do n = n + 1 end
  p.nchannels = n + 1                         -- with the one that is being made
  return n
end

H.channel_module = { new = create, select = select }
