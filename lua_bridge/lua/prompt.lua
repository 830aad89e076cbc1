-- prompt: the script behind `trio-actors lua`: reads chunks, runs them, shows what they gave.
--
-- Chunks share one environment, that of the process. `print` shows its line at once.
local H = ...
local raw = H.raw
local select, concat = raw.select, raw.table.concat
local M = {}
local NAME = "=stdin"

local function show(text) H.post("prompt.show", false, text) end
local function complain(text) H.post("prompt.show", true, text) end

-- The results of a chunk as one line; __tostring is the script's own, so this runs inside a chunk.
local function line(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = H.base.tostring((select(i, ...))) end
  return concat(parts, "\t")
end

local function shown(chunk)
  return function()
    local function results(...)
      if select("#", ...) > 0 then return line(...) end
    end
    return results(chunk())
  end
end

function M.run()
  if H.current().chunk then H.raise("the prompt runs already") end
  local env = H.environment()
  raw.rawset(env, "print", function(...) show(line(...)) end)
  while true do
    local source = H.op("prompt.read")
    if source == nil then return end
    local f, err = raw.load("return " .. source, NAME, "t", env)
    if not f then f, err = raw.load(source, NAME, "t", env) end
    if not f then
      complain(err)
    else
      local ok, text = H.attempt(shown(f))
      if not ok then complain(text) elseif text then show(text) end
    end
  end
end

return M
