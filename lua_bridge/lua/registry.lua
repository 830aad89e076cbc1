-- registry (functions.md section 11): what the application consists of, and changes of it.
--
-- Versions and snapshots are numbers of the Python side, entries are plain tables. A snapshot
-- belongs to its version; a change set is collected here and sent as a whole.
local H = ...
local raw = H.raw
local type, mtype, text = raw.type, raw.math.type, H.text_argument
local M = {}

local function number(v, n, name)
  if mtype(v) ~= "integer" then H.argerror(n, name, "integer", v) end
  return v
end

local function filter(v, n, name)
  if v == nil then return {} end
  if type(v) ~= "table" then H.argerror(n, name, "table", v) end
  return v
end

-- An id as text: a string or {ns = ..., name = ...}.
local function id_of(v, n, name)
  if type(v) == "table" and type(v.ns) == "string" and type(v.name) == "string" then
    return v.ns .. ":" .. v.name
  end
  return text(v, n, name)
end

local function op(name, ...)
  if not H.current() then return H.fail("Invalid", "no context") end
  return H.op("registry." .. name, ...)
end

-- ---------------------------------------------------------------- versions

local version_methods, version_class = {}, nil
local function version(n, err)
  if n == nil then return nil, err end
  return H.new(version_class, { n = n })
end
version_class = H.class("Version", version_methods, {
  __tostring = function(v) return "Version(v" .. H.of(v, version_class).n .. ")" end,
})

function version_methods.id(v) return H.self(v, version_class, "id").n end
function version_methods.string(v) return "v" .. H.self(v, version_class, "string").n end
function version_methods.previous(v) return version(op("neighbour", H.self(v, version_class, "previous").n, -1)) end
function version_methods.next(v) return version(op("neighbour", H.self(v, version_class, "next").n, 1)) end

local function version_number(v, n, name)
  local st = H.of(v, version_class)
  if not st then H.argerror(n, name, "Version", v) end
  return st.n
end

local function versions()
  local list, err = op("versions")
  if list == nil then return nil, err end
  for i, n in raw.ipairs(list) do list[i] = version(n) end
  return list
end

-- ---------------------------------------------------------------- change sets

local changes_methods, changes_class = {}, nil
changes_class = H.class("Changes", changes_methods, {
  __tostring = function(c) return "Changes(" .. #H.of(c, changes_class).ops .. ")" end,
})

local function add(c, name, kind, entry)
  local st = H.self(c, changes_class, name)
  local ok, err = op("vet", kind, entry)
  if not ok then return nil, err end
  st.ops[#st.ops + 1] = { kind = kind, entry = H.copy(entry) }
  return c
end

function changes_methods.create(c, entry) return add(c, "create", "entry.create", entry) end
function changes_methods.update(c, entry) return add(c, "update", "entry.update", entry) end
function changes_methods.delete(c, id)
  return add(c, "delete", "entry.delete", { id = id_of(id, 1, "delete") })
end
function changes_methods.ops(c) return H.copy(H.self(c, changes_class, "ops").ops) end
function changes_methods.apply(c)
  return version(op("apply", H.self(c, changes_class, "apply").ops))
end

-- ---------------------------------------------------------------- snapshots

local snapshot_methods, snapshot_class = {}, nil
snapshot_class = H.class("Snapshot", snapshot_methods, {
  __tostring = function(s) return "Snapshot(v" .. H.of(s, snapshot_class).n .. ")" end,
})
local function snapshot(n, err)
  if n == nil then return nil, err end
  return H.new(snapshot_class, { n = n })
end

local function at(s, name) return H.self(s, snapshot_class, name).n end
function snapshot_methods.entries(s) return op("find", {}, at(s, "entries")) end
function snapshot_methods.get(s, id) return op("get", id_of(id, 1, "get"), at(s, "get")) end
function snapshot_methods.find(s, query) return op("find", filter(query, 1, "find"), at(s, "find")) end
function snapshot_methods.namespace(s, name)
  return op("find", { [".ns"] = text(name, 1, "namespace") }, at(s, "namespace"))
end
function snapshot_methods.version(s) return version(at(s, "version")) end
function snapshot_methods.changes(s)
  H.self(s, snapshot_class, "changes")
  return H.new(changes_class, { ops = {} })
end

-- ---------------------------------------------------------------- history

local history_methods, history_class = {}, nil
history_class = H.class("History", history_methods, {
  __tostring = function() return "History" end,
})
function history_methods.versions(h) H.self(h, history_class, "versions") return versions() end
function history_methods.get_version(h, n)
  H.self(h, history_class, "get_version")
  return version(op("version", number(n, 1, "get_version")))
end
function history_methods.snapshot_at(h, v)
  H.self(h, history_class, "snapshot_at")
  return snapshot(op("version", version_number(v, 1, "snapshot_at")))
end

-- ---------------------------------------------------------------- module functions

function M.parse_id(id)
  id = text(id, 1, "parse_id")
  local ns, name = raw.string.match(id, "^([^:]*):(.*)$")
  if not ns then return { ns = "", name = id } end
  return { ns = ns, name = name }
end

function M.get(id) return op("get", id_of(id, 1, "get")) end
function M.find(query) return op("find", filter(query, 1, "find")) end
function M.snapshot() return snapshot(op("current")) end
function M.snapshot_at(n)
  n = number(n, 1, "snapshot_at")
  if n <= 0 then return H.fail("Invalid", "version must be greater than 0") end
  return snapshot(op("version", n))
end
function M.current_version() return version(op("current")) end
function M.versions() return versions() end
function M.history() return H.new(history_class, {}) end
function M.changes() return H.new(changes_class, { ops = {} }) end
function M.apply_version(v) return op("apply_version", version_number(v, 1, "apply_version")) end

function M.build_delta(from, to)
  local old, new = H.of(from, snapshot_class), H.of(to, snapshot_class)
  if not old then H.argerror(1, "build_delta", "Snapshot", from) end
  if not new then H.argerror(2, "build_delta", "Snapshot", to) end
  return op("build_delta", old.n, new.n)
end

return M
