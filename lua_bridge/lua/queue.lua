-- queue (functions.md section 13.1, QU1-QU9): messages for functions.
local H = ...
local raw = H.raw
local text = H.text_argument
local M = {}

local function op(name, ...)
  if not H.current() then return H.fail("Invalid", "no context") end
  return H.op("queue." .. name, ...)
end

function M.publish(id, data, headers) return op("publish", text(id, 1, "publish"), data, headers) end
function M.info(id) return op("info", text(id, 1, "info")) end

local methods = {}
local class = H.class("queue.Message", methods, {
  __tostring = function() return "queue.Message" end,
})

-- The object is data-less: the message is that of the running call (CX2), asked for each time.
function M.message()
  local ok, err = op("present")
  if not ok then return nil, err end
  return H.new(class, {})
end

for _, name in raw.ipairs { "id", "headers", "attempt", "ack", "nack" } do
  methods[name] = function(m)
    H.self(m, class, name)
    return op(name)
  end
end
function methods.header(m, key)
  H.self(m, class, "header")
  return op("header", text(key, 1, "header"))
end

return M
