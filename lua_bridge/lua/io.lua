-- io (P8, I1): standard input, output and arguments; only for a process on a terminal.host.
local H = ...
local raw = H.raw
local M = {}

local function texts(name, ...)
  local list = {}
  for i = 1, raw.select("#", ...) do
    local value = raw.select(i, ...)
    list[i] = H.text(value)
    if list[i] == nil then
      local kind = raw.type(value)
      if kind ~= "nil" and kind ~= "boolean" then H.argerror(i, name, "text", value) end
      list[i] = raw.tostring(value)
    end
  end
  return list
end

function M.args() return H.op("io.args") end
function M.write(...) return H.op("io.write", texts("write", ...)) end
function M.print(...) return H.op("io.print", texts("print", ...)) end
function M.eprint(...) return H.op("io.eprint", texts("eprint", ...)) end
function M.flush() return H.op("io.flush") end
function M.readline() return H.op("io.readline") end

function M.read(size)
  if size ~= nil and raw.math.type(size) ~= "integer" then H.argerror(1, "read", "integer", size) end
  return H.op("io.read", size)
end

return M
