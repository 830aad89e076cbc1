-- The module `process`: mailbox, control, names (spec sections 1 to 7; spawning is in spawn.lua).
--
-- Sending inside one state is a deep copy and a push, all in Lua. Everything that touches the
-- kernel leaves as an operation (sched.lua) and is answered before any other coroutine of this
-- process runs. Order (M12) holds because what comes from outside enters the state in one queue.
local H = ...
local raw = H.raw
local type, next, select, tostring = raw.type, raw.next, raw.select, raw.tostring
local byte, find = raw.string.byte, raw.string.find
local remove = raw.table.remove
local S, fail, mkerr = H.S, H.fail, H.mkerr
local channel_class = H.channel_class
local send_state = H.send_state
local sys, sys_wait = H.sys, H.sys_wait
local AT = byte("@")
local R, wake, copy, getmt, setmetatable = H.R, H.wake, H.copy, raw.debug.getmetatable, raw.setmetatable
local post = H.out
local plain = { number = true, boolean = true }

local pids = {}      -- PID -> process of this state
H.pids = pids
local M = {}

local function me()
  local rec = R.cur
  local p = rec and rec.proc
  return p and p.pid and p or nil
end

local function no_context() return fail("Invalid", "no process context") end

-- A string argument; numbers are taken as strings (M9).
local function str(v, n, fname)
  if type(v) == "string" then return v end
  if type(v) == "number" then return tostring(v) end
  return H.argerror(n, fname, "string", v)
end

H.process_module, H.me, H.no_context, H.text_argument = M, me, no_context, str

-- ---------------------------------------------------------------- messages

-- A message is one table with private keys; it becomes an object when a script reads it.
local TOPIC, FROM, PAYLOAD, SEQ, EVENT = {}, {}, {}, {}, {}
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
  end
  local seq = p.seq
  p.seq = seq + 1
  entry[SEQ] = seq
  if st then
    send_state(st, entry)
    return nil
  end
  local waiting = p.waiting
  if not waiting then p.waiting = { entry } else waiting[#waiting + 1] = entry end
end
H.set_route(route)

local function post_message(p, topic, from, payload)
  local rec = route(p, topic, from, payload)
  if rec then wake(rec) end
end
H.post_message = post_message

local function route_event(p, event)
  local entry = { [PAYLOAD] = event, [EVENT] = true, [SEQ] = p.seq }
  p.seq = p.seq + 1
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
  topic = str(topic, 1, "listen")
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

-- Python: the next of them in arrival order -> false, topic, sender, flat payload, or true and what
-- H.event takes.
function H.drained(i)
  local e = drained[i]
  drained[i] = nil
  local payload = e[PAYLOAD]
  if not e[EVENT] then return false, e[TOPIC], e[FROM], H.flatten(payload) end
  return true, payload.kind, payload.from, payload.at, payload.deadline, result_of(payload)
end

-- ---------------------------------------------------------------- identity, send

function M.pid()
  local p = me()
  if not p then return no_context() end
  return p.pid
end

function M.id()
  local p = me()
  if not p then return no_context() end
  return p.id
end

-- Processes outside of this state that answered a send. Until Python says that they are gone a
-- send to them needs no answer: it leaves with the outbox, in order. Python hears of an end and of
-- its EXIT event in one piece, so nobody sees an EXIT and can still send (V4).
local remote = {}
function H.gone(pid) remote[pid] = nil end

local function send_out(dest, topic, shape, ...)
  if shape == nil then
    -- the payload cannot cross, but the checks before copying come first (M16)
    local ok, err = sys("check_send", 2, dest, topic)
    if not ok then return nil, err end
    return nil, (...)
  end
  local p = R.cur.proc
  if remote[dest] and p.direct and (#shape == 1 or not find(shape, "[ct]")) then
    post("send", p.idx, 0, 3 + select("#", ...), dest, topic, shape, ...)
    return true
  end
  local ok, err = sys("send", 3 + select("#", ...), dest, topic, shape, ...)
  if ok == 2 then remote[dest] = true end
  if ok then return true end
  return nil, err
end

-- Topics that were sent to and do not begin with "@"; forgotten when they become many.
local vetted, vetted_count = {}, 0
local function vet(topic)
  if byte(topic) == AT then return false end
  vetted_count = vetted_count + 1
  if vetted_count > 1000 then vetted, vetted_count = {}, 1 end
  vetted[topic] = true
  return true
end

-- The last message of a step is delivered by the scheduler when the step is over: there it costs half
-- as much as below the instruction hook, and nobody can tell. One before it is delivered here.
local function send_inside(p, target, topic, n, ...)
  local payload, err
  if n == 1 then payload, err = copy((...)) else payload, err = H.copy_payload(n, ...) end
  if err then return nil, err end
  if target == p then
    post_message(p, topic, p.pid, payload)
    return true
  end
  local r = R
  local to = r.to
  r.to = nil
  if to then post_message(to, r.topic, p.pid, r.payload) end
  r.to, r.topic, r.payload = target, topic, payload
  return true
end

function M.send(dest, topic, ...)
  local r, target = R, pids[dest]
  local rec = r.cur
  if target and rec and vetted[topic] then
    local p = rec.proc
    if p.direct then
      local n = select("#", ...)
      if n == 1 and not r.to then             -- most messages
        local payload = ...
        if plain[type(payload)] and target ~= p then
          r.to = target
          r.topic = topic
          r.payload = payload
          return true
        end
      end
      return send_inside(p, target, topic, n, ...)
    end
  end
  local p = rec and rec.proc
  if remote[dest] and p and p.direct and vetted[topic] and select("#", ...) == 1 and plain[type((...))] then
    post("send", p.idx, 0, 4, dest, topic, "v", (...))
    return true
  end
  if topic == nil then return fail("Invalid", "send requires at least destination and topic arguments") end
  if type(dest) ~= "string" then dest = str(dest, 1, "send") end
  if type(topic) ~= "string" then topic = str(topic, 2, "send") end
  if not me() then return no_context() end
  if not vetted[topic] and not vet(topic) then return fail("Invalid", "cannot send to @ topics") end
  if pids[dest] and p.direct then return M.send(dest, topic, ...) end
  return send_out(dest, topic, H.flatten_payload(select("#", ...), ...))
end

-- ---------------------------------------------------------------- control, monitors, links (5)

for _, name in raw.ipairs { "terminate", "monitor", "unmonitor", "link", "unlink" } do
  M[name] = function(dest)
    if dest == nil then return fail("Invalid", name .. " requires a destination argument") end
    dest = str(dest, 1, name)
    if not me() then return no_context() end
    return sys(name, 1, dest)
  end
end

function M.cancel(dest, deadline)
  if dest == nil then return fail("Invalid", "cancel requires a destination argument") end
  dest = str(dest, 1, "cancel")
  if not me() then return no_context() end
  local t = type(deadline)
  if t == "number" then
    local ms = raw.math.tointeger(deadline)
    if not ms or ms < 0 then return fail("Invalid", "invalid duration format: " .. tostring(deadline)) end
    deadline = ms
  elseif deadline ~= nil and t ~= "string" then
    return fail("Invalid", "invalid duration format: " .. H.typename(deadline))
  end
  return sys("cancel", 2, dest, deadline)
end

-- Tells whoever waits for it that this process is ready (supervision.md SU3); the value is dropped.
function M.started()
  if not me() then return no_context() end
  return sys("started", 0)
end

M.event = H.frozen("process.event", {
  CANCEL = "pid.cancel", EXIT = "pid.exit", LINK_DOWN = "pid.link.down", OUTDATED = "pid.outdated",
})

-- ---------------------------------------------------------------- options, upgrade (6)

function M.get_options()
  local p = me()
  if not p then return no_context() end
  return { trap_links = p.trap_links or false, upgradable = p.upgradable }
end

local OPTIONS = { "trap_links", "upgradable" }
local known_options = { trap_links = true, upgradable = true }

function M.set_options(options)
  local p = me()
  local function refuse(text) return false, mkerr("Invalid", text, false) end
  if not p then return refuse("no process context") end
  if type(options) ~= "table" or H.closed(options) then return refuse("options parameter must be a table") end
  for k in next, options do
    if type(k) == "string" and not known_options[k] then return refuse("option " .. k .. " is not supported") end
  end
  for i = 1, #OPTIONS do
    local value = raw.rawget(options, OPTIONS[i])
    if value ~= nil and type(value) ~= "boolean" then return refuse(OPTIONS[i] .. " must be a boolean") end
  end
  local ok, err = true, nil
  for i = 1, #OPTIONS do
    local name = OPTIONS[i]
    local value = raw.rawget(options, name)
    if value ~= nil then
      if name == "trap_links" then p.trap_links = value else p.upgradable = value or nil end
      ok, err = sys(name, 1, value)
    end
  end
  return ok, err
end

function M.upgrade(id, ...)
  if id ~= nil then id = str(id, 1, "upgrade") end
  local p = me()
  if not p then return no_context() end
  if p.frame then return fail("Invalid", "upgrade is only available in a process") end
  local function go(shape, ...)
    if shape ~= nil then return sys_wait("upgrade", 2 + select("#", ...), id, shape, ...) end
    local e = H.error((...))
    H.exit_error(p, e.kind, "upgrade failed: " .. e.message, nil, nil)
    H.park()
  end
  return go(H.flatten_list(select("#", ...), ...))
end

-- ---------------------------------------------------------------- names (7)

local registry = {}
function registry.register(name, pid)
  if name == nil then return fail("Invalid", "register requires a name argument") end
  name = str(name, 1, "register")
  if pid ~= nil then pid = str(pid, 2, "register") end
  if not me() then return no_context() end
  return sys("register", 2, name, pid)
end
function registry.lookup(name)
  if name == nil then return fail("Invalid", "lookup requires a name argument") end
  name = str(name, 1, "lookup")
  if not me() then return no_context() end
  return sys("lookup", 1, name)
end
function registry.unregister(name)
  if name == nil then return fail("Invalid", "unregister requires a name argument") end
  name = str(name, 1, "unregister")
  if not me() then return no_context() end
  return sys("unregister", 1, name)
end
M.registry = H.frozen("process.registry", registry)

H.base.process = H.frozen("process", M)
H.base.channel = H.frozen("channel", H.channel_module)
