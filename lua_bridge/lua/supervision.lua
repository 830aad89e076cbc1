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

-- Ends this process with `shutdown` (SU10). An error, as `Shutdown` is in Python: pcall catches it.
function M.shutdown(detail)
  if detail ~= nil and raw.type(detail) ~= "string" then H.argerror(1, "shutdown", "string", detail) end
  local message = detail and "shutdown: " .. detail or "shutdown"
  raw.error(H.mkerr("Canceled", message, nil, { ["@shutdown"] = detail or "" }))
end

return M
