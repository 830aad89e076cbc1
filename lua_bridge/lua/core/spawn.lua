-- The spawning part of the module `process`: spawn and its forms, call, the builder (section 4).
local H = ...
local raw = H.raw
local type, next, select, tostring = raw.type, raw.next, raw.select, raw.tostring
local byte, find = raw.string.byte, raw.string.find
local new, fail, mkerr, sys, sys_wait = H.new, H.fail, H.mkerr, H.sys, H.sys_wait
local me, no_context, str = H.me, H.no_context, H.text_argument
local AT = byte("@")
local M = H.process_module

local FORMS = {
  spawn = { false, false },
  spawn_monitored = { true, false },
  spawn_linked = { false, true },
  spawn_linked_monitored = { true, true },
}

-- The arguments of a spawn operation: fixed scalars, then flat parts, each preceded by its length.
local function spawn_args(form, id, host, options, n, ...)
  local args = { id, host, form[1], form[2], options.name, options.actor, options.scope }
  local count = 7
  local function part(shape, ...)
    if shape == nil then return (...) end
    local m = select("#", ...)
    args[count + 1], args[count + 2] = m, shape
    for i = 1, m do args[count + 2 + i] = (select(i, ...)) end
    count = count + 2 + m
    return nil
  end
  local err = part(H.flatten_list(n, ...)) or part(H.flatten(options.context))
  if err then return nil, err end
  local messages = options.messages or {}
  count = count + 1
  args[count] = #messages
  for i = 1, #messages do
    count = count + 1
    args[count] = messages[i].topic
    err = part(H.flatten_payload(1, messages[i].payload))
    if err then return nil, err end
  end
  return args, count
end

local function do_spawn(fname, options, id, host, ...)
  if host == nil then return fail("Invalid", fname .. " requires at least id and host arguments") end
  id, host = str(id, 1, fname), str(host, 2, fname)
  if not me() then return no_context() end
  local args, count = spawn_args(FORMS[fname], id, host, options, select("#", ...), ...)
  if not args then return nil, count end
  return sys("spawn", count, raw.table.unpack(args, 1, count))
end

for name in next, FORMS do
  M[name] = function(...) return do_spawn(name, {}, ...) end
end

function M.call(id, host, ...)
  if host == nil then return fail("Invalid", "call requires id and host arguments") end
  id, host = str(id, 1, "call"), str(host, 2, "call")
  if id == "" then return fail("Invalid", "process ID required") end
  local colon = find(id, ":", 1, true)
  if not colon or colon == 1 or colon == #id then
    return fail("Invalid", "invalid process ID format (namespace:name required)")
  end
  if host == "" then return fail("Invalid", "host ID required") end
  if not me() then return no_context() end
  local function go(shape, ...)
    if shape == nil then return nil, (...) end
    return sys_wait("call", 3 + select("#", ...), id, host, shape, ...)
  end
  return go(H.flatten_list(select("#", ...), ...))
end

-- ---------------------------------------------------------------- the spawn builder (4.2)

local builder_methods, builder_class = {}, nil
builder_class = H.class("process.SpawnBuilder", builder_methods)

local function derive(options, field, value)
  local copy = {}
  for k, v in next, options do copy[k] = v end
  copy[field] = value
  return new(builder_class, copy)
end

local function throw(err) raw.error(err, 0) end

local function check(action, resource)
  local ok, err = sys("permitted", 2, action, resource)
  if not ok then throw(err) end
end

-- Context values as B1 allows them, copied; raises what it does not. `done`: table -> its copy, so
-- that one that is there many times is copied once.
local function context_value(v, path, depth, done)
  local t = type(v)
  if t == "string" or t == "number" or t == "boolean" then return v end
  if done[v] then return done[v] end
  if depth > 64 then
    throw(mkerr("Invalid", "context value " .. path .. " is nested too deeply", false))
  end
  if t ~= "table" or raw.debug.getmetatable(v) and H.closed(v) then
    throw(mkerr("Invalid", "context value " .. path .. " is a " .. H.typename(v)
      .. "; allowed are strings, numbers, booleans, arrays and string-keyed tables of these", false))
  end
  local copy, size, items, names = {}, raw.rawlen(v), 0, 0
  for k, x in next, v do
    if type(k) == "string" then
      names = names + 1
    elseif raw.math.type(k) == "integer" and k >= 1 and k <= size then
      items = items + 1
    else
      throw(mkerr("Invalid", "context value " .. path .. " has a key that is neither text nor an array index", false))
    end
    copy[k] = context_value(x, path .. "." .. tostring(k), depth + 1, done)
  end
  if items > 0 and (names > 0 or items < size) then
    throw(mkerr("Invalid", "context value " .. path .. " is neither an array without gaps nor a table with text keys", false))
  end
  done[v] = copy
  return copy
end

H.context_value = context_value

local function with_context(options, values)
  if type(values) ~= "table" or H.closed(values) then H.argerror(1, "with_context", "table", values) end
  check("process.context", "context")
  local merged, copies = {}, {}
  for k, v in next, options.context or {} do merged[k] = v end
  for k, v in next, values do
    if type(k) == "string" then merged[k] = context_value(v, k, 1, copies) end
  end
  return derive(options, "context", merged)
end

function builder_methods.with_context(b, values)
  return with_context(H.self(b, builder_class, "with_context"), values)
end

function builder_methods.with_name(b, name)
  local options = H.self(b, builder_class, "with_name")
  name = str(name, 1, "with_name")
  if name == "" then throw(mkerr("Invalid", "name cannot be empty", false)) end
  return derive(options, "name", name)
end

function builder_methods.with_message(b, topic, ...)
  local options = H.self(b, builder_class, "with_message")
  topic = str(topic, 1, "with_message")
  if byte(topic) == AT then throw(mkerr("Invalid", "cannot send to @ topics", false)) end
  local payload, err = H.copy_payload(select("#", ...), ...)
  if err then throw(err) end
  local messages = {}
  for i, m in raw.ipairs(options.messages or {}) do messages[i] = m end
  messages[#messages + 1] = { topic = topic, payload = payload }
  return derive(options, "messages", messages)
end

-- Actors and scopes are objects of the module security, whose state holds a handle.
for field, class in next, { actor = "actor_class", scope = "scope_class" } do
  builder_methods["with_" .. field] = function(b, value)
    local options = H.self(b, builder_class, "with_" .. field)
    local state = H[class] and H.of(value, H[class])
    if not state then H.argerror(1, "with_" .. field, field, value) end
    check("process.security", "security")
    local builder = derive(options, field, state.handle)
    H.of(builder, builder_class)[field .. "_kept"] = value  -- keeps the number alive
    return builder
  end
end

for name in next, FORMS do
  builder_methods[name] = function(b, ...)
    return do_spawn(name, H.self(b, builder_class, name), ...)
  end
end

function M.with_context(values)
  if not me() then return no_context() end
  return with_context({}, values)
end
