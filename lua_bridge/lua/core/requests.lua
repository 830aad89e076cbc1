-- Requests to Python: operations that leave with the outbox and block their coroutine until answered.
--
-- One that is answered in the same turn is no switching point (G3): the process is held meanwhile.
local H = ...
local raw = H.raw
local next, select, unpack = raw.next, raw.select, raw.table.unpack
local R, post, wake, park, blocking = H.R, H.out, H.wake, H.park, H.blocking

local pending, last_request = {}, 0         -- request -> record that waits for the answer

local function ask(code, sync, n, ...)
  local rec = blocking()
  local p = rec.proc
  last_request = last_request + 1
  pending[last_request] = rec
  p.nreq = (p.nreq or 0) + 1
  p.wakers = p.wakers + 1
  -- an operation that is answered at once is no switching point (G3): the process is held
  if sync then p.hold = rec end
  post(code, p.idx, last_request, n, ...)
  park()
  return rec
end

local function op_result(rec)
  local ok, res = rec.ok, rec.res
  rec.res = nil
  if ok then return unpack(res, 1, res.n) end
  return nil, res
end

-- A system operation with scalar arguments, answered at once.
function H.sys(code, n, ...) return op_result(ask(code, true, n, ...)) end
-- A system operation with scalar arguments that takes time.
function H.sys_wait(code, n, ...) return op_result(ask(code, false, n, ...)) end

local function op_flat(name, first, ...)
  if first == nil then return nil, (...) end
  return op_result(ask("op:" .. name, H.config.sync[name], select("#", ...) + 1, first, ...))
end

-- A module's operation with any arguments that can cross.
function H.op(name, ...) return op_flat(name, H.flatten_list(select("#", ...), ...)) end

local function post_flat(name, first, ...)
  if first == nil then return nil, (...) end
  local p = R.cur and R.cur.proc
  post("op:" .. name, p and p.idx or 0, 0, select("#", ...) + 1, first, ...)
  return true
end

-- The same without waiting for an answer.
function H.post(name, ...) return post_flat(name, H.flatten_list(select("#", ...), ...)) end

local function answered(request)
  local rec = pending[request]
  if not rec then return nil end
  pending[request] = nil
  local p = rec.proc
  if p.dead then return nil end
  p.nreq = p.nreq - 1
  p.wakers = p.wakers - 1
  return rec
end

-- Python: the operation succeeded with the values of a flat list.
function H.answer(request, shape, ...)
  local rec = answered(request)
  if not rec then return end
  rec.ok = true
  if shape == "v" then rec.res = { n = 1, (...) }
  elseif shape == "n" then rec.res = { n = 1 }
  else rec.res = H.build_list(shape, ...) end
  wake(rec)
end

-- Python: it succeeded with one value, in the form that came from a Lua state.
function H.answer_value(request, ...)
  local rec = answered(request)
  if not rec then return end
  rec.ok, rec.res = true, { n = 1, H.build(...) }
  wake(rec)
end

-- Python: the operation failed.
function H.answer_error(request, kind, message, retryable, shape, ...)
  local rec = answered(request)
  if not rec then return end
  rec.ok = false
  rec.res = H.mkerr(kind, message, retryable, shape and H.build(shape, ...))
  wake(rec)
end

-- A process is gone, and with it what it waited for.
function H.drop_requests(p)
  if not p.nreq or p.nreq == 0 then return end
  for id, rec in next, pending do
    if rec.proc == p then pending[id] = nil end
  end
end

-- No answer is waited for by this record any more.
function H.forget_requests(p, rec)
  for id, waiting in next, pending do
    if waiting == rec then
      pending[id] = nil
      p.nreq, p.wakers = p.nreq - 1, p.wakers - 1
    end
  end
end
