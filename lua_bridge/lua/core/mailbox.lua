-- The module `process`, first part: messages and the mailbox (spec sections 0 and 3).
--
-- A message enters its process by `route`, whether it was sent in this state or comes from Python,
-- and lies in a subscription (channel.lua) or waits for one. Here is also what every part of the
-- module begins with: the process that runs, and text arguments.
local H = ...
local raw = H.raw
local type, next, tostring = raw.type, raw.next, raw.tostring
local byte = raw.string.byte
local S, fail, mkerr = H.S, H.fail, H.mkerr
local channel_class = H.channel_class
local send_state = H.send_state
local AT = byte("@")
local R, wake, getmt, setmetatable = H.R, H.wake, raw.debug.getmetatable, raw.setmetatable
local count, brim, stamp = raw.collectgarbage, H.config.brim_kb, H.config.stamp

local M = {}

local function me()
  local rec = R.cur
  local p = rec and rec.proc
  return p and p.pid and p or nil
end

local function no_context() return fail("Invalid", "no process context") end

H.process_module, H.me, H.no_context = M, me, no_context

-- ---------------------------------------------------------------- messages

-- A message is one table with private keys; it becomes an object when a script reads it.
local TOPIC, FROM, PAYLOAD, SEQ, EVENT, SINCE = {}, {}, {}, {}, {}, {}
local message_methods = {}
local message_class
message_class = H.class("process.Message", message_methods, {
  __tostring = function(m)
    return "process.Message{topic=" .. m[TOPIC] .. ", from=" .. tostring(m[FROM]) .. "}"
  end,
})
for name, key in next, { topic = TOPIC, from = FROM, payload = PAYLOAD } do
  message_methods[name] = function(m)
    if getmt(m) ~= message_class then H.self(m, message_class, name) end
    return m[key]
  end
end

-- ---------------------------------------------------------------- mailbox (L1-L17)

local function as_message(_, entry) return setmetatable(entry, message_class) end
local function as_payload(st, entry)
  if st.message then return setmetatable(entry, message_class) end
  return entry[PAYLOAD]
end
local function as_event(_, entry) return entry[PAYLOAD] end

-- What waits has an arrival number. It is a time too (PH8): nanoseconds of `Node.stamp`, read once
-- before each turn's first, and one more for each that follows. So messages need no other number, and
-- their ages are right to within a turn.
local last, seq = 0, false                    -- no number below is left; the next one of this turn
local function first()
  if count("count") <= brim then              -- else Python's result could not be pushed (Z4)
    local now = stamp()
    if now > last then last = now end
  end
  return last
end

local function number(entry)
  local n = seq or first()
  seq = n + 1
  entry[SEQ] = n
end

-- A turn is over (whatever Python brings makes one follow): the next number is read from the clock.
local function tick()
  if seq then last, seq = seq, false end
end

-- A message has arrived (L2) -> the record of the coroutine that can go on with it, if one waited.
local function route(p, topic, from, payload)
  local topics, st = p.topics, p.box
  if topics then
    local ch = topics[topic]
    if ch then st = ch[S] end
  end
  local entry = { [TOPIC] = topic, [FROM] = from, [PAYLOAD] = payload }
  if st then
    local queue = st.recvq
    local rec = queue[1]
    if rec and queue[2] == nil and not rec.sel then  -- the common case of send_state: one waits for it
      queue[1] = nil
      rec.ok = true
      if st == p.box then
        rec.v = setmetatable(entry, message_class)
      else rec.v = st.convert(st, entry) end
      return rec
    end
    if not rec then                           -- as number(), which is a call more
      local n = seq or first()
      seq = n + 1
      entry[SEQ] = n
    end
    send_state(st, entry)
    return nil
  end
  number(entry)
  local waiting = p.waiting
  if not waiting then p.waiting = { entry } else waiting[#waiting + 1] = entry end
end
H.set_route(route, tick)

local function post_message(p, topic, from, payload)
  local rec = route(p, topic, from, payload)
  if rec then wake(rec) end
end
H.post_message = post_message

local function route_event(p, event)
  local entry = { [PAYLOAD] = event, [EVENT] = true }
  number(entry)
  if p.events then
    send_state(p.events[S], entry)
    return
  end
  local waiting = p.event_waiting
  if not waiting then p.event_waiting = { entry } else waiting[#waiting + 1] = entry end
end

local function unsubscribe(st)
  local p = st.proc
  if st.obj == p.inbox then p.inbox, p.box = nil
  elseif st.obj == p.events then p.events = nil
  else p.topics[st.slot] = nil end
  p.wakers = p.wakers - 1
  H.end_subscription(st.obj)
  H.close_state(st)
  return true
end
H.unsubscribe = unsubscribe

local function subscribe(p, slot, topic, convert)
  p.wakers = p.wakers + 1
  return H.subscription(p, slot, topic, convert)
end

-- Move the waiting messages that belong to a new channel into it (L4).
local function collect(p, ch, topic)
  local waiting = p.waiting
  if not waiting then return end
  local rest = {}
  for i = 1, #waiting do
    local entry = waiting[i]
    if topic == nil or entry[TOPIC] == topic then send_state(ch[S], entry) else rest[#rest + 1] = entry end
  end
  p.waiting = rest[1] and rest or nil
end

function M.inbox()
  local p = me()
  if not p then return no_context() end
  local ch = p.inbox
  if not ch then
    ch = subscribe(p, "inbox", nil, as_message)
    p.inbox, p.box = ch, ch[S]
    collect(p, ch)
  end
  return ch
end

function M.events()
  local p = me()
  if not p then return no_context() end
  local ch = p.events
  if not ch then
    ch = subscribe(p, "events", nil, as_event)
    p.events = ch
    for _, entry in raw.ipairs(p.event_waiting or {}) do send_state(ch[S], entry) end
    p.event_waiting = nil
  end
  return ch
end

function M.listen(topic, options)
  if topic == nil then return fail("Invalid", "listen requires a topic argument") end
  topic = H.text_argument(topic, 1, "listen")
  local p = me()
  if not p then return no_context() end
  if byte(topic) == AT then return fail("Invalid", "cannot listen to @ topics") end
  if topic == "" then return fail("Invalid", "topic cannot be empty") end
  local topics = p.topics
  if not topics then
    topics = {}
    p.topics = topics
  end
  local ch = topics[topic]
  if not ch then
    ch = subscribe(p, nil, topic, as_payload)
    topics[topic] = ch
    collect(p, ch, topic)
  end
  if type(options) == "table" and raw.rawget(options, "message") == true then ch[S].message = true end
  return ch
end

function M.unlisten(ch)
  if ch == nil then return fail("Invalid", "unlisten requires a channel argument") end
  local st = H.of(ch, channel_class)
  if not st then H.argerror(1, "unlisten", "channel", ch) end
  if not st.proc or st.closed then return false, mkerr("NotFound", "channel not found", false) end
  return unsubscribe(st)
end

-- Python: a message from outside, its payload flat.
function H.deliver(idx, topic, from, shape, ...)
  local p = H.procs[idx]
  if not p then return end
  post_message(p, topic, from, H.build(shape, ...))
end

-- Python: the same, followed by a turn.
function H.deliver_run(steps, seconds, ...)
  H.deliver(...)
  return H.run(steps, seconds)
end

-- Python: the last message was unread in the code that this one replaces, since then. It has not begun.
function H.age(idx, since)
  local p = H.procs[idx]
  local waiting = p and p.waiting
  if waiting then waiting[#waiting][SINCE] = since end
end

-- Python: an event; result is nil, true (a value) or false (an error), flat.
function H.event(idx, kind, from, at, deadline, result, shape, ...)
  local p = H.procs[idx]
  if not p then return end
  local event = { kind = kind, from = from, at = at, deadline = deadline }
  if result == true then event.result = { value = H.build(shape, ...) }
  elseif result == false then event.result = { error = H.build(shape, ...) } end
  route_event(p, event)
end

local function entries(p)
  local all = {}
  local function add(list)
    for i = 1, #list do all[#all + 1] = list[i] end
  end
  local function add_channel(ch)
    local st = ch[S]
    for i = st.head, st.head + st.n - 1 do all[#all + 1] = st.buf[i] end
  end
  add(p.waiting or {})
  add(p.event_waiting or {})
  if p.inbox then add_channel(p.inbox) end
  if p.events then add_channel(p.events) end
  for _, ch in next, p.topics or {} do add_channel(ch) end
  return all
end

-- Python: how many messages and events are unread.
function H.depth(idx)
  local p = H.procs[idx]
  return p and #entries(p) or 0
end

local NONE = {}
local function since(entry) return entry and (entry[SINCE] or entry[SEQ]) end
local function head(ch) return ch and since(ch[S].buf[ch[S].head]) end
local function awaited(ch) return ch and ch[S].recvq[1] end

-- Python: since when the oldest unread message waits (PH8), or nothing.
function H.unread_since(idx)
  local p = H.procs[idx]
  if not p then return nil end
  local oldest, at = since(p.waiting and p.waiting[1]), head(p.inbox)
  if at and not (oldest and oldest < at) then oldest = at end
  for _, ch in next, p.topics or NONE do
    at = head(ch)
    if at and not (oldest and oldest < at) then oldest = at end
  end
  return oldest
end

-- Python: what a process does (spec 1.4). As in Python it is idle if one of its coroutines waits for
-- messages or events, whatever the others wait for.
function H.doing(idx)
  local p, cur = H.procs[idx], R.cur
  if not p or not p.started or p.live > 0 or p.hold or cur and cur.proc == p then return "running" end
  if awaited(p.inbox) or awaited(p.events) then return "idle" end
  for _, ch in next, p.topics or NONE do
    if awaited(ch) then return "idle" end
  end
  return "blocked"
end

-- Python: the process is ended with this (U3); how many messages and events are unread.
local drained = {}
function H.drain(idx)
  local p = H.procs[idx]
  if not p then return 0 end
  drained = entries(p)
  raw.table.sort(drained, function(a, b) return a[SEQ] < b[SEQ] end)
  H.bury(p)
  return #drained
end

local function result_of(event)
  local result = event.result
  if not result then return nil end
  if result.error ~= nil then return false, H.flatten(result.error) end
  return true, H.flatten(result.value)
end

-- Python: the next of them in arrival order -> false, since when it waits, topic, sender, flat payload,
-- or true and what H.event takes.
function H.drained(i)
  local e = drained[i]
  drained[i] = nil
  local payload = e[PAYLOAD]
  if not e[EVENT] then return false, since(e), e[TOPIC], e[FROM], H.flatten(payload) end
  return true, payload.kind, payload.from, payload.at, payload.deadline, result_of(payload)
end
