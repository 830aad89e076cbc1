-- events (functions.md section 12, EV1-EV5): the bus of the node.
--
-- A subscription is an object over a number of the Python side. A coroutine of the script fetches
-- events and puts them into a channel of 64; what does not fit waits on the Python side (EV4).
local H = ...
local raw = H.raw
local pcall, text = raw.pcall, H.text_argument
local M = {}
local CAPACITY = 64

local methods = {}
local class = H.class("Subscription", methods, {
  __tostring = function() return "Subscription" end,
})

function M.subscribe(system, kind)
  system = text(system, 1, "subscribe")
  if kind ~= nil then kind = text(kind, 2, "subscribe") end
  if not H.current() then return H.fail("Invalid", "no context") end
  local number, err = H.op("events.subscribe", system, kind)
  if number == nil then return nil, err end
  local st = { number = number, ch = H.channel(CAPACITY) }
  H.spawn(function()
    while true do
      local event = H.op("events.next", number)
      if event == nil then break end
      -- the script may close the channel while this waits for room
      if not pcall(st.ch.send, st.ch, event) then break end
    end
    H.close(st.ch)
  end)
  return H.new(class, st)
end

function methods.channel(s) return H.self(s, class, "channel").ch end

function methods.close(s)
  local st = H.self(s, class, "close")
  if not st.closed then
    st.closed = true
    H.op("events.close", st.number)
    H.close(st.ch)
  end
  return true
end

function M.send(system, kind, path, data)
  system, kind, path = text(system, 1, "send"), text(kind, 2, "send"), text(path, 3, "send")
  if not H.current() then return H.fail("Invalid", "no context") end
  return H.op("events.send", system, kind, path, data)
end

return M
