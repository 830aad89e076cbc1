-- The module `process`: sending, control, options, names (spec sections 1, 2, 5 to 7; the mailbox is in
-- mailbox.lua, spawning in spawn.lua).
--
-- Sending inside one state is a deep copy and a push, all in Lua. Everything that touches the
-- kernel leaves as an operation (sched.lua) and is answered before any other coroutine of this
-- process runs. Order (M12) holds because what comes from outside enters the state in one queue.
local H = ...
local raw = H.raw
local type, next, select, tostring = raw.type, raw.next, raw.select, raw.tostring
local byte, find = raw.string.byte, raw.string.find
local fail, mkerr = H.fail, H.mkerr
local sys, sys_wait = H.sys, H.sys_wait
local AT = byte("@")
local R, copy, post = H.R, H.copy, H.out
local M, me, no_context, str = H.process_module, H.me, H.no_context, H.text_argument
local post_message = H.post_message
local plain = { number = true, boolean = true }

local pids = {}      -- PID -> process of this state
H.pids = pids

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
