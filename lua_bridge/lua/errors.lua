-- errors (processes.md section 10, Q1-Q9): making, wrapping and reading Error objects.
--
-- The Error object itself (metatable, message, kind, retryable, details, `..`) is made in base.lua.
-- Here it also gets a stack: frames as they were when it was made, and one note for each wrap,
-- newest first. Frames of the host are left out, so a stack shows the script only.
local H = ...
local raw = H.raw
local type, next, rawget, running, tostring = raw.type, raw.next, raw.rawget, raw.coroutine.running, raw.tostring
local getinfo, format, concat = raw.debug.getinfo, raw.string.format, raw.table.concat
local sub = raw.string.sub

local MAX_FRAMES, MAX_NOTES, MAX_LEVELS = 32, 16, 200

local KINDS = {
  NOT_FOUND = "NotFound", ALREADY_EXISTS = "AlreadyExists", INVALID = "Invalid",
  PERMISSION_DENIED = "PermissionDenied", UNAVAILABLE = "Unavailable", INTERNAL = "Internal",
  CANCELED = "Canceled", CONFLICT = "Conflict", TIMEOUT = "Timeout", RATE_LIMITED = "RateLimited",
  UNKNOWN = "",
}
local known = {}
local M = {}
for name, kind in next, KINDS do
  M[name], known[kind] = kind, true
end

-- The script's frames of the running coroutine, innermost first.
local function capture()
  local frames, count = {}, 0
  for level = 3, MAX_LEVELS do
    local info = getinfo(level, "Slnt")
    if not info or count == MAX_FRAMES then break end
    if info.what ~= "C" and not H.is_host(info.source) then
      count = count + 1
      frames[count] = {
        level = count, source = info.short_src, line = info.currentline, name = info.name,
        type = info.what == "main" and "main" or info.namewhat ~= "" and info.namewhat or "function",
      }
    end
  end
  return { thread = tostring((running())), frames = frames }
end

local function describe(frame)
  local what = frame.type == "main" and "in main chunk"
    or frame.name and "in " .. frame.type .. " '" .. frame.name .. "'" or "in a function"
  return format("\n  %s:%d: %s", frame.source, frame.line, what)
end

local function render(state)
  local out, n = {}, 0
  local function add(text, trace)
    n = n + 1
    out[n] = text
    for _, frame in raw.ipairs(trace and trace.frames or {}) do
      n = n + 1
      out[n] = describe(frame)
    end
  end
  for _, note in raw.ipairs(state.notes or {}) do
    add(note.text, note.trace)
    n = n + 1
    out[n] = "\ncaused by: "
  end
  add(state.message, state.trace)
  return concat(out)
end

H.errmt.__index.stack = function(e)
  local state = H.error(e)
  if not state then H.raise("calling 'stack' on a bad self (error expected, got " .. H.typename(e) .. ")") end
  if not state.trace and not state.notes then return state.stack or state.message end
  return render(state)
end

local function check_kind(kind)
  if kind == nil then return "" end
  if type(kind) ~= "string" then H.argerror(1, "new", "kind as a string", kind) end
  if not known[kind] then
    H.raise("unknown error kind '" .. sub(kind, 1, 40) .. "': use a constant such as errors.NOT_FOUND")
  end
  return kind
end

local function check_details(details)
  if details == nil then return nil end
  if type(details) ~= "table" or H.typename(details) ~= "table" then H.argerror(1, "new", "details as a table", details) end
  local copy = {}
  for key, value in next, details do
    if type(key) == "string" then copy[key] = value end
  end
  return next(copy) ~= nil and copy or nil
end

function M.new(spec)
  if type(spec) == "string" or type(spec) == "number" then spec = { message = tostring(spec) } end
  if type(spec) ~= "table" or H.typename(spec) ~= "table" then H.argerror(1, "new", "string or table", spec) end
  local message, retryable = rawget(spec, "message"), rawget(spec, "retryable")
  if type(message) ~= "string" then H.argerror(1, "new", "message as a string", message) end
  if retryable ~= nil and type(retryable) ~= "boolean" then H.argerror(1, "new", "retryable as a boolean", retryable) end
  local kind, details = check_kind(rawget(spec, "kind")), check_details(rawget(spec, "details"))
  local err = H.mkerr(kind, message, retryable, details)
  H.error(err).trace = capture()
  return err
end

function M.wrap(err, text)
  local inner = H.error(err)
  if not inner and (type(err) == "string" or type(err) == "number") then
    inner = { kind = "", message = tostring(err) }
  end
  if not inner then H.argerror(1, "wrap", "string or error", err) end
  local note = H.text(text)
  if not note then H.argerror(2, "wrap", "string", text) end
  local notes = { { text = note, trace = capture() } }
  for i, old in raw.ipairs(inner.notes or {}) do
    if i < MAX_NOTES then notes[i + 1] = old end
  end
  local outer = H.mkerr(inner.kind, inner.message, inner.retryable, inner.details, inner.stack)
  local state = H.error(outer)
  state.notes, state.trace = notes, inner.trace
  return outer
end

function M.is(err, kind)
  local state = H.error(err)
  return state ~= nil and state.kind == kind
end

-- The frames of the newest wrap, or of the place where the error was made.
function M.call_stack(err)
  local state = H.error(err)
  local trace = state and (state.notes and state.notes[1].trace or state.trace)
  if not trace then return nil end
  local frames = {}
  for i, frame in raw.ipairs(trace.frames) do
    frames[i] = { level = frame.level, source = frame.source, line = frame.line, name = frame.name, type = frame.type }
  end
  return { thread = trace.thread, frames = frames }
end

return M
