-- ctx (functions.md section 5, CX1-CX9): the context values of this frame, read only.
local H = ...
local raw = H.raw
local M = {}

local function none() return H.fail("Invalid", "no context") end

function M.get(key)
  if raw.type(key) ~= "string" then H.argerror(1, "get", "string", key) end
  if not H.current() then return none() end
  if key == "" then return H.fail("Invalid", "empty key") end
  return H.op("ctx.get", key)
end

function M.all()
  if not H.current() then return none() end
  return H.op("ctx.all")
end

return M
