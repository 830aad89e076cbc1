-- funcs (functions.md sections 3 and 4): calls, futures and executors.
--
-- A future is an object over a number of the Python side. A coroutine of the script waits for the
-- outcome and puts it into the state and the channel, so completion shows only after the owner has
-- yielded (FU5). An executor is data: values, actor, scope and options, sent along with each call.
local H = ...
local raw = H.raw
local type, text = raw.type, H.text_argument
local M = {}

local function none() return H.fail("Invalid", "no context") end

-- ---------------------------------------------------------------- futures

local future_methods = {}
local future_class = H.class("Future", future_methods, {
  __tostring = function() return "Future" end,
})

local function settle(st, how, value)
  if st.canceled then return end
  if how == "success" then
    st.status, st.value = how, value
    H.push(st.ch, value)
  elseif how == "failure" then
    st.status, st.err = how, value
    H.push(st.ch, value)
  end
  H.close(st.ch)
end

-- The future of an operation that gave a number; nil, Error passes on. Shared with contract.lua.
function H.new_future(number, err)
  if number == nil then return nil, err end
  local st = { number = number, ch = H.channel(1) }
  H.spawn(function()
    local how, value = H.op("funcs.wait", number)
    settle(st, how or "failure", value)   -- nil, Error: the result cannot cross
  end)
  return H.new(future_class, st)
end

function future_methods.response(f) return H.self(f, future_class, "response").ch end
function future_methods.channel(f) return H.self(f, future_class, "channel").ch end
function future_methods.is_complete(f) return H.self(f, future_class, "is_complete").status ~= nil end
function future_methods.is_canceled(f) return H.self(f, future_class, "is_canceled").canceled == true end

function future_methods.result(f)
  local st = H.self(f, future_class, "result")
  if st.canceled then return nil, H.mkerr("Canceled", "canceled", nil) end
  if st.status == "failure" then return nil, st.err end
  return st.value, nil
end

function future_methods.error(f)
  local st = H.self(f, future_class, "error")
  if st.status == "failure" then return st.err, true end
  return nil, false
end

function future_methods.cancel(f)
  local st = H.self(f, future_class, "cancel")
  if not st.canceled then
    st.canceled = true
    H.discard(st.ch)
    if st.status == nil then H.op("funcs.cancel", st.number) end
  end
  return true, nil
end

-- ---------------------------------------------------------------- module functions

function M.call(id, ...)
  id = text(id, 1, "call")
  if not H.current() then return none() end
  return H.op("funcs.call", false, id, ...)
end

function M.async(id, ...)
  id = text(id, 1, "async")
  if not H.current() then return none() end
  return H.new_future(H.op("funcs.start", false, id, ...))
end

-- ---------------------------------------------------------------- executors

local exec_methods = {}
local exec_class = H.class("Executor", exec_methods, {
  __tostring = function() return "Executor" end,
})

-- The numbers of actor and scope are sent with each call; the objects keep them alive.
local KEPT = { actor = 1, scope = 2 }

local function derive(st, field, value, object)
  local new = {
    values = st.values, actor = st.actor, scope = st.scope, options = st.options, st[1], st[2],
  }
  new[field] = value
  if object then new[KEPT[field]] = object end
  return H.new(exec_class, new)
end

-- Shallow copy of the string keys of a table over another one.
function H.overlaid(base, t)
  local merged = {}
  for k, v in raw.next, base or {} do merged[k] = v end
  for k, v in raw.next, t do
    if type(k) == "string" then merged[k] = v end
  end
  return merged
end

-- Copies of the values under string keys, or nil and the error that names the key path (CX9).
function H.context_values(values)
  local given, copies = {}, {}
  local ok, err = raw.pcall(function()
    for k, v in raw.next, values do
      if type(k) == "string" then given[k] = H.context_value(v, k, 1, copies) end
    end
  end)
  if ok then return given end
  if not H.error(err) then raw.error(err, 0) end  -- the end of the step
  return nil, err
end

function M.new()
  if not H.current() then return none() end
  return H.new(exec_class, {})
end

function exec_methods.with_context(e, values)
  local st = H.self(e, exec_class, "with_context")
  if type(values) ~= "table" then H.argerror(1, "with_context", "table", values) end
  local ok, err = H.op("funcs.with_context")
  if not ok then return nil, err end
  local given, bad = H.context_values(values)
  if not given then return nil, bad end
  return derive(st, "values", H.overlaid(st.values, given))
end

for field, class in raw.next, { actor = "actor_class", scope = "scope_class" } do
  exec_methods["with_" .. field] = function(e, value)
    local st = H.self(e, exec_class, "with_" .. field)
    local ok, err = H.op("funcs.with_security")
    if not ok then return nil, err end
    local state = H[class] and H.of(value, H[class])
    if not state then H.argerror(1, "with_" .. field, field, value) end
    return derive(st, field, state.handle, value)
  end
end

function exec_methods.with_options(e, options)
  local st = H.self(e, exec_class, "with_options")
  if type(options) ~= "table" then H.argerror(1, "with_options", "table", options) end
  return derive(st, "options", H.overlaid(nil, options))
end

function exec_methods.call(e, id, ...)
  local st = H.self(e, exec_class, "call")
  return H.after(e, H.op("funcs.call", H.overlaid(nil, st), text(id, 1, "call"), ...))
end

function exec_methods.async(e, id, ...)
  local st = H.self(e, exec_class, "async")
  return H.new_future(H.op("funcs.start", H.overlaid(nil, st), text(id, 1, "async"), ...))
end

return M
