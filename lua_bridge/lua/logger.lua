-- logger: lines with fields to Python's logging; H.print is the global print (E8).
--
-- A line never fails and never blocks: what cannot cross is shown as text, what is too long is cut.
local H = ...
local raw = H.raw
local type, next, tostring, pcall = raw.type, raw.next, raw.tostring, raw.pcall
local sub, concat, getmt = raw.string.sub, raw.table.concat, raw.debug.getmetatable

local MAX_TEXT, MAX_FIELDS, MAX_DEPTH = 16384, 64, 4

local function cut(s) return #s > MAX_TEXT and sub(s, 1, MAX_TEXT) .. "..." or s end

local function shown(v)
  if type(v) == "string" then return cut(v) end
  local ok, s = pcall(tostring, v) -- a script's __tostring may raise
  return ok and cut(s) or type(v)
end

-- A copy that can cross: scalars, texts, tables of them.
local function plain(v, depth)
  local t = type(v)
  if t == "number" or t == "boolean" then return v end
  if t ~= "table" or depth >= MAX_DEPTH or H.error(v) or getmt(v) then return shown(v) end
  local copy, count = {}, 0
  for k, item in next, v do
    count = count + 1
    if count > MAX_FIELDS then break end
    copy[type(k) == "number" and k or shown(k)] = plain(item, depth + 1)
  end
  return copy
end

local M, methods = {}, {}
local class = H.class("logger.Logger", methods)

local function line(level, state, message, fields)
  local merged = {}
  for k, v in next, state.fields do merged[k] = v end
  if type(fields) == "table" and not getmt(fields) then
    for k, v in next, plain(fields, 0) do merged[k] = v end
  elseif fields ~= nil then
    merged.value = plain(fields, 0)
  end
  H.post("logger.log", level, state.name, shown(message), merged)
end

local root = { name = "", fields = {} }

local function derived(state, name, fields)
  local merged = {}
  for k, v in next, state.fields do merged[k] = v end
  for k, v in next, fields or {} do merged[k] = v end
  if name then name = state.name == "" and name or state.name .. "." .. name end
  return H.new(class, { name = name or state.name, fields = merged })
end

local function with(state, fields)
  if type(fields) ~= "table" or getmt(fields) then H.argerror(1, "with", "table", fields) end
  return derived(state, nil, plain(fields, 0))
end

local function named(state, name)
  if type(name) ~= "string" then H.argerror(1, "named", "string", name) end
  return derived(state, cut(name))
end

-- The module itself takes a dot or a colon: logger.info("x") and logger:info("x") are the same.
local function is_module(v)
  local mt = type(v) == "table" and getmt(v)
  return mt and H.frozen_of[mt] == M
end

local function entry(on_module, method)
  return function(first, ...)
    if is_module(first) then return on_module(root, ...) end
    return on_module(root, first, ...)
  end, function(self, ...) return on_module(H.self(self, class, method), ...) end
end

for _, level in raw.ipairs { "debug", "info", "warn", "error" } do
  M[level], methods[level] = entry(function(state, message, fields) line(level, state, message, fields) end, level)
end
M.with, methods.with = entry(with, "with")
M.named, methods.named = entry(named, "named")

-- The global print (E8): the arguments as one line, joined by one blank. It never fails.
function H.print(...)
  local parts = {}
  for i = 1, raw.select("#", ...) do parts[i] = shown((raw.select(i, ...))) end
  H.post("logger.log", "info", "", cut(concat(parts, " ")), {})
end

return M
