-- security (functions.md section 9.3): actors, scopes, policies, decisions, tokens.
local H = ...
local raw = H.raw
local type, text = raw.type, H.string_argument
local M = {}

local function class(name, methods)
  return H.owning(H.class(name, methods, { __tostring = function() return name end }))
end

local actor_methods, scope_methods, policy_methods, store_methods = {}, {}, {}, {}
local actor_class = class("Actor", actor_methods)
local scope_class = class("Scope", scope_methods)
local policy_class = class("Policy", policy_methods)
local store_class = class("TokenStore", store_methods)
H.actor_class, H.scope_class = actor_class, scope_class

local function made(cls, handle, second)
  if handle == nil then return nil, second end
  return H.own(cls, { handle = handle, id = second })
end

local function handle(v, cls, n, name, expected)
  local st = H.of(v, cls)
  if not st then H.argerror(n, name, expected, v) end
  return st.handle
end

function M.actor()
  local number, id = H.op("security.actor")
  if number == nil then return nil end
  return made(actor_class, number, id)
end

function M.scope()
  local number = H.op("security.scope")
  if number == nil then return nil end
  return made(scope_class, number)
end

function M.new_actor(id, meta)
  text(id, 1, "new_actor")
  if meta ~= nil and type(meta) ~= "table" then H.argerror(2, "new_actor", "table", meta) end
  return made(actor_class, H.op("security.new_actor", id, meta))
end

function M.new_scope(policies)
  if policies ~= nil and type(policies) ~= "table" then H.argerror(1, "new_scope", "table", policies) end
  local numbers = {}
  for i = 1, #(policies or {}) do
    numbers[i] = handle(policies[i], policy_class, 1, "new_scope", "list of policies")
  end
  return made(scope_class, H.op("security.new_scope", numbers))
end

function M.policy(id) return made(policy_class, H.op("security.policy", text(id, 1, "policy"))) end
function M.named_scope(group)
  return made(scope_class, H.op("security.named_scope", text(group, 1, "named_scope")))
end
function M.can(action, resource, meta)
  return H.op("security.can", text(action, 1, "can"), text(resource, 2, "can"), meta)
end
function M.explain(action, resource, meta)
  return H.op("security.explain", text(action, 1, "explain"), text(resource, 2, "explain"), meta)
end
function M.token_store(id)
  return made(store_class, H.op("security.token_store", text(id, 1, "token_store")))
end

function actor_methods.id(a) return H.self(a, actor_class, "id").id end
function actor_methods.meta(a) return H.op("security.actor_meta", H.self(a, actor_class, "meta").handle) end

function policy_methods.id(p) return H.self(p, policy_class, "id").id end

local function evaluate(st, actor, action, resource, meta)
  local who = handle(actor, actor_class, 1, "evaluate", "actor")
  return H.op("security.evaluate", st.handle, who, text(action, 2, "evaluate"),
    text(resource, 3, "evaluate"), meta)
end
function policy_methods.evaluate(p, ...) return evaluate(H.self(p, policy_class, "evaluate"), ...) end
function scope_methods.evaluate(s, ...) return evaluate(H.self(s, scope_class, "evaluate"), ...) end

scope_methods["with"] = function(s, policy)
  local st = H.self(s, scope_class, "with")
  return made(scope_class,
    H.op("security.with", st.handle, handle(policy, policy_class, 1, "with", "policy")))
end
function scope_methods.without(s, id)
  local st = H.self(s, scope_class, "without")
  return made(scope_class, H.op("security.without", st.handle, text(id, 1, "without")))
end
function scope_methods.contains(s, id)
  return H.op("security.contains", H.self(s, scope_class, "contains").handle, text(id, 1, "contains"))
end
function scope_methods.policies(s)
  local found, err = H.op("security.policies", H.self(s, scope_class, "policies").handle)
  if not found then return nil, err end
  local list = {}
  for i, item in raw.ipairs(found) do list[i] = made(policy_class, item[1], item[2]) end
  return list
end

function store_methods.create(t, actor, scope, options)
  local st = H.self(t, store_class, "create")
  local who = handle(actor, actor_class, 1, "create", "actor")
  local what = handle(scope, scope_class, 2, "create", "scope")
  return H.op("security.create", st.handle, who, what, options)
end
function store_methods.validate(t, token)
  local st = H.self(t, store_class, "validate")
  local number, id, scope = H.op("security.validate", st.handle, text(token, 1, "validate"))
  if number == nil then return nil, nil, id end
  return made(actor_class, number, id), made(scope_class, scope)
end
function store_methods.revoke(t, token)
  return H.op("security.revoke", H.self(t, store_class, "revoke").handle, text(token, 1, "revoke"))
end
function store_methods.close(t) return H.op("security.close", H.self(t, store_class, "close").handle) end

return M
