-- contract (functions.md section 8.2): calling by contract and method.
--
-- A method is looked up when it is named: exact name, else `_async` stripped, else nil (CT8). The
-- functions that make it callable are kept per object, so `c:send(...)` asks Python for `send` once.
local H = ...
local raw = H.raw
local type, text = raw.type, H.string_argument
local M = {}
H.module("funcs")   -- defines H.new_future and H.overlaid

local function table_or_nil(v, n, name)
  if v ~= nil and type(v) ~= "table" then H.argerror(n, name, "table", v) end
  return v
end

local contract_methods = {}
local contract_class, instance_class

local function index(reserved)
  return function(obj, key)
    local own = reserved[key]
    if own or type(key) ~= "string" then return own end
    local st = H.of(obj, contract_class) or H.of(obj, instance_class)
    local known = st.known[key]
    if known then return known end
    local method, is_async = H.op("contract.find", st.handle, key)
    if not method then return nil end
    local function call(self, ...)
      local s = H.of(self, contract_class) or H.of(self, instance_class)
      if not s then H.raise("calling '" .. key .. "' on a bad self: use ':'") end
      if is_async then return H.new_future(H.op("contract.start", s.handle, method, ...)) end
      return H.after(self, H.op("contract.invoke", s.handle, method, ...))
    end
    st.known[key] = call
    return call
  end
end

contract_class = H.owning(H.class("Contract", {}, {
  __index = index(contract_methods),
  __tostring = function() return "Contract" end,
}))
instance_class = H.owning(H.class("Instance", {}, {
  __index = index({}),
  __tostring = function() return "Instance" end,
}))

local function made(class, handle, err)
  if handle == nil then return nil, err end
  return H.own(class, { handle = handle, known = {} })
end

function M.get(id)
  return made(contract_class, H.op("contract.get", text(id, 1, "get")))
end

-- The table of context values of `open`, if it has one (CT10).
local function values_of(scope)
  if table_or_nil(scope, 2, "open") == nil then return true end
  return H.context_values(scope)
end

function M.open(binding, scope, options)
  text(binding, 1, "open")
  local values, err = values_of(scope)
  table_or_nil(options, 3, "open")
  if not values then return nil, err end
  if scope then scope = values end
  return made(instance_class, H.op("contract.open", binding, scope, options))
end

function M.find_implementations(id)
  return H.op("contract.implementations", text(id, 1, "find_implementations"))
end

M["is"] = function(instance, id)
  if type(instance) ~= "table" then H.argerror(1, "is", "instance", instance) end
  local st = H.of(instance, instance_class)
  if not st then return false end
  return H.op("contract.is", st.handle, text(id, 2, "is"))
end

local function self(c, name) return H.self(c, contract_class, name) end

function contract_methods.id(c) return H.op("contract.id", self(c, "id").handle) end
function contract_methods.methods(c) return H.op("contract.methods", self(c, "methods").handle) end
function contract_methods.method(c, name)
  return H.op("contract.method", self(c, "method").handle, text(name, 1, "method"))
end
function contract_methods.implementations(c)
  return H.op("contract.implementations", H.op("contract.id", self(c, "implementations").handle))
end

function contract_methods.open(c, binding, scope, options)
  local st = self(c, "open")
  if binding ~= nil then text(binding, 1, "open") end
  local values, err = values_of(scope)
  table_or_nil(options, 3, "open")
  if not values then return nil, err end
  if scope then scope = values end
  return made(instance_class, H.op("contract.open_from", st.handle, binding, scope, options))
end

function contract_methods.with_context(c, values)
  local st = self(c, "with_context")
  if type(values) ~= "table" then H.argerror(1, "with_context", "table", values) end
  local ok, err = H.op("contract.with", st.handle, "check_context")
  if not ok then return nil, err end
  local given, bad = H.context_values(values)
  if not given then return nil, bad end
  return made(contract_class, H.op("contract.with", st.handle, "context", given))
end

function contract_methods.with_options(c, options)
  local st = self(c, "with_options")
  if type(options) ~= "table" then H.argerror(1, "with_options", "table", options) end
  return made(contract_class, H.op("contract.with", st.handle, "options", H.overlaid(nil, options)))
end

for field, class in raw.next, { actor = "actor_class", scope = "scope_class" } do
  contract_methods["with_" .. field] = function(c, value)
    local st = self(c, "with_" .. field)
    local ok, err = H.op("contract.with", st.handle, "check_security")
    if not ok then return nil, err end
    local state = H[class] and H.of(value, H[class])
    if not state then H.argerror(1, "with_" .. field, field, value) end
    return made(contract_class, H.op("contract.with", st.handle, field, state.handle))
  end
end

return M
