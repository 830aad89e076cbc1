-- store (functions.md section 9.3, SE23): keys and values of a store in memory.
local H = ...
local text = H.string_argument
local M = {}

local methods = {}
local class = H.owning(H.class("Store", methods, { __tostring = function() return "Store" end }))

function M.get(id)
  local number, err = H.op("store.open", text(id, 1, "get"))
  if number == nil then return nil, err end
  return H.own(class, { handle = number })
end

function methods.get(s, key)
  return H.op("store.get", H.self(s, class, "get").handle, text(key, 1, "get"))
end
function methods.set(s, key, value, ttl)
  local st = H.self(s, class, "set")
  return H.op("store.set", st.handle, text(key, 1, "set"), value, ttl)
end
function methods.has(s, key)
  return H.op("store.has", H.self(s, class, "has").handle, text(key, 1, "has"))
end
function methods.delete(s, key)
  return H.op("store.delete", H.self(s, class, "delete").handle, text(key, 1, "delete"))
end

return M
