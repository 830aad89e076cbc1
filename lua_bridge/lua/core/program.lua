-- From source text to a process: chunks, their environments, the first step (E1-E7).
--
-- A chunk is compiled once per state as `local _ENV = ...; <source>` and called with the
-- environment of each process, so that 10,000 processes share one prototype.
local H, _, load_module = ...
local raw = H.raw
local type, next, setmetatable, load, gmatch = raw.type, raw.next, raw.setmetatable, raw.load, raw.string.gmatch
local base, fail = H.base, nil

local entries = {}      -- key -> {proto, envmt, imports}
local modules = {}      -- name -> frozen module table

local function module(name)
  local found = base[name] or modules[name]
  if found == nil then
    found = H.frozen(name, load_module(name))
    modules[name] = found
  end
  return found
end
H.module = module

-- Modules that are always there (E3), and print, which comes from the logger (E8).
function H.always(names)
  for name in gmatch(names, "[^\n]+") do base[name] = module(name) end
  module("logger")
  base.print = H.print
end

-- At the line that called `require`, which calls this.
local function not_found(name)
  raw.error("module '" .. raw.tostring(H.text(name) or type(name)) .. "' not found", 3)
end

-- Python: compile an entry -> true, or false and the text of the syntax error.
-- modules: names; imports: alias and key in turn; each one per line.
function H.compile(key, chunkname, source, module_names, imports)
  if entries[key] then return true end
  local proto, err = load("local _ENV = ...; " .. source, chunkname, "t", {})
  if not proto then return false, err end
  local globals, declared = setmetatable({}, { __index = base }), {}
  for name in gmatch(module_names, "[^\n]+") do
    globals[name] = module(name)
    declared[name] = globals[name]
  end
  local entry = { proto = proto, imports = {}, declared = declared }
  local alias
  for word in gmatch(imports, "[^\n]+") do
    if alias then
      entry.imports[#entry.imports + 1] = { alias = alias, key = word }
      alias = nil
    else alias = word end
  end
  function globals.require(name)
    local value = declared[name]
    if value == nil then not_found(name) end
    return value
  end
  entry.envmt = { __index = globals, __metatable = false }
  entries[key] = entry
  return true
end

local environment

-- The value of a library: what its chunk returns, anew for each process (E4).
local function import(key)
  local entry = entries[key]
  return entry.proto(environment(entry))
end

function environment(entry)
  local env = setmetatable({}, entry.envmt)
  env._G = env
  if entry.imports[1] then
    local values = {}
    for _, item in raw.ipairs(entry.imports) do
      values[item.alias] = import(item.key)
      env[item.alias] = values[item.alias]
    end
    function env.require(name)
      local value = values[name]
      if value == nil then value = entry.declared[name] end
      if value == nil then not_found(name) end
      return value
    end
  end
  return env
end

local function load_chunk(p, key, method)
  local entry = entries[key]
  p.env = environment(entry)
  local value = entry.proto(p.env)
  if type(value) == "function" then return H.DONE, value end
  local f
  if type(value) == "table" then f = value[method] end
  return H.DONE, type(f) == "function" and f or nil
end

local function failed(message, e, stack)
  if message == "not enough memory" then return false, "RateLimited", "memory limit exceeded", false, nil end
  if not e then return false, "Internal", message, nil, stack end
  if e.details == nil then return false, e.kind, e.message, e.retryable, stack end
  return false, e.kind, e.message, e.retryable, stack, H.flatten(e.details)
end

local function new_process(idx, instructions)
  return { -- with room for the fields that every process gets
    idx = idx, live = 0, wakers = 0, grown = 0, instructions = instructions,
    pid = nil, id = nil, direct = nil, env = nil, main = nil, started = nil, inbox = nil, box = nil,
  }
end

-- Python: load a process (E5, E6) -> true, or false, kind, message, retryable, stack, details...
-- Without a shape there are no arguments.
function H.prepare(idx, key, method, instructions, shape, ...)
  local p = new_process(idx, instructions)
  local ok, f, e, stack = H.run_now(p, load_chunk, p, key, method)
  if not ok then return failed(f, e, stack) end
  if not f then
    return false, "NotFound", 'method "' .. method .. '" not found in module', false
  end
  H.make_main(p, f, shape and H.build_list(shape, ...))
  H.procs[idx] = p
  return true
end

-- The workers of functions: a chunk runs once per worker and serves its invocations, one at a time
-- (DE3, PL14). Globals are put back to what the chunk left, so each invocation has its own (DE7).
local workers = {}      -- id -> {f, env, globals}

local function restore(env, globals)
  for key in next, env do
    if globals[key] == nil then raw.rawset(env, key, nil) end
  end
  for key, value in next, globals do raw.rawset(env, key, value) end
end

-- Python: load one invocation of a function; answers as H.prepare does. Without a shape the
-- arguments are plain scalars.
function H.prepare_call(id, idx, key, method, instructions, shape, ...)
  local p, worker = new_process(idx, instructions), workers[id]
  if worker then
    restore(worker.env, worker.globals)
  else
    local ok, f, e, stack = H.run_now(p, load_chunk, p, key, method)
    if not ok then
      local reason = { reason = f }
      return failed("failed to execute script",
        { kind = "Internal", message = "failed to execute script", details = reason }, stack)
    end
    if not f then
      return false, "NotFound", 'method "' .. method .. '" not found in module', false
    end
    worker = { f = f, env = p.env, globals = {} }
    for name, value in next, p.env do worker.globals[name] = value end
    workers[id] = worker
  end
  p.frame = true
  p.env = worker.env
  H.make_main(p, worker.f, shape and H.build_list(shape, ...) or raw.table.pack(...))
  H.procs[idx] = p
  return true
end

-- Prepared: the process begins, in this turn. Else "refused" and what H.prepare_call answers.
local function begun(steps, seconds, idx, pid, name, direct, alive, ok, ...)
  if not alive then return "refused", "RateLimited", "memory limit exceeded", false end
  if not ok then return "refused", ... end
  H.register(idx, pid, name, direct)
  H.begin(idx)
  return H.run(steps, seconds)
end

-- Python: prepare_call, register, begin and run in one crossing; answers as H.run does.
function H.call_now(steps, seconds, pid, name, direct, id, idx, ...)
  return begun(steps, seconds, idx, pid, name, direct, raw.pcall(H.prepare_call, id, idx, ...))
end

-- Python: this worker is gone.
function H.drop_worker(id) workers[id] = nil end

-- Python: the process exists now and may begin.
function H.register(idx, pid, id, direct)
  local p = H.procs[idx]
  if not p then return end
  p.pid, p.id, p.direct = pid, id, direct
  H.pids[pid] = p
end

function H.begin(idx)
  local p = H.procs[idx]
  if p and not p.started then H.start_main(p) end
end

-- Python: register and begin in one crossing.
function H.enter(idx, pid, id, direct)
  H.register(idx, pid, id, direct)
  H.begin(idx)
end
