-- supervision: administering a running supervisor, addressed by PID or name (supervision.md SU20).
local H = ...
local raw = H.raw
local M = {}

local function op(name)
  return function(dest, ...)
    if dest == nil then return H.fail("Invalid", name .. " requires a supervisor argument") end
    if raw.type(dest) ~= "string" then H.argerror(1, name, "string", dest) end
    return H.op("supervision." .. name, dest, ...)
  end
end

for _, name in raw.ipairs {
  "start_child", "terminate_child", "restart_child", "delete_child",
  "which_children", "count_children", "get_child", "update",
} do
  M[name] = op(name)
end

return M
