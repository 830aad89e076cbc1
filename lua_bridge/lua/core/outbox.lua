-- The outbox of a turn: what scripts want from Python, in order.
--
-- One item is: code, process, request (0 for none), n, n arguments. Python never calls back into a
-- state for them while a script runs (lua_bridge.md 10.5).
local H = ...
local move, unpack = H.raw.table.move, H.raw.table.unpack
local out, on = {}, 0
local MANY = 20000                          -- values: the turn ends, so that they leave

function H.out(code, proc, request, n, ...)
  local at = on
  out[at + 1], out[at + 2], out[at + 3], out[at + 4] = code, proc, request, n
  if n <= 4 then out[at + 5], out[at + 6], out[at + 7], out[at + 8] = ...
  else move({ ... }, 1, n, at + 5, out) end
  on = at + 4 + n
end
local post = H.out

function H.outbox_full() return on > MANY end

-- What a turn answers: more, the number of values, the values.
function H.flush(more)
  local list, count = H.take_released()
  for i = 1, count, 2 do
    if H.procs[list[i]] then post("release", list[i], 0, 1, list[i + 1]) end
  end
  if on == 0 then return more, 0 end
  local sent, n = out, on
  out, on = {}, 0
  return more, n, unpack(sent, 1, n)
end
