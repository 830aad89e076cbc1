-- First chunk of a state: loads the host files, then empties the real environment (Z7, section 7).
-- Returns: config(key, value), sync(name), file(name, source, python functions...), finish().
local G = _G
local load, select, next = load, select, next
local config, H = { sync = {} }, nil

-- code is what state.py compiled once for all states.
local function chunk(name, code)
  local f, err = load(code, name, "b", {})
  if not f then error(err, 0) end
  return f
end

local function set(key, value) config[key] = value end
local function sync(name) config.sync[name] = true end

-- functions: name and callable in turn
local function functions(...)
  local py = {}
  for i = 1, select("#", ...), 2 do
    local name, f = select(i, ...)
    py[name] = H.pyfn(f)
  end
  return py
end

local module_source
local function load_module(name)
  local function build(source, ...)
    return chunk(name, source)(H, functions(...))
  end
  return build(module_source(name))
end

local function file(name, source, ...)
  if name == "base" then H = chunk(name, source)(G, config) return end
  chunk(name, source)(H, functions(...), load_module)
end

local function finish(find_source, always)
  module_source = find_source
  local raw = H.raw
  for k in raw.next, G.package and G.package.loaded or {} do G.package.loaded[k] = nil end
  for k in raw.next, G do G[k] = nil end
  raw.setmetatable(G, nil)
  H.pace(false)
  raw.debug.getregistry()["trio_actors.arm"] = H.arm
  H.make_factory()
  H.always(always)
  return H.compile, H.prepare, H.register, H.begin, H.deliver, H.event, H.run, H.answer,
    H.answer_error, H.fire, H.kill, H.depth, H.drain, H.prepare_call, H.call_now, H.drop_worker, H.gone,
    H.deliver_run, H.relieve, H.interrupt, H.fire_run, H.answer_value, H.drained, H.enter, H.place,
    H.unread_since, H.doing, H.age
end

return set, sync, file, finish
