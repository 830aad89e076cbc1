-- Chunks that can be interrupted: what the prompt (modules/prompt.py) runs in its process.
--
-- A chunk is an inner coroutine of the process's main one. What blocks it goes outward as for any
-- user coroutine, so it can use everything. An interrupt drops the inner coroutine where it is: no
-- pcall of it can catch that, and main goes on as if it had returned.
local H = ...
local raw = H.raw
local next, error = raw.next, raw.error
local resume, yield = raw.coroutine.resume, raw.coroutine.yield
local R, S, WAIT, YIELD, RETURN, KILL = H.R, H.S, H.WAIT, H.YIELD, H.RETURN, H.KILL

-- Run f() -> true, results... | false, message (with the stack).
function H.attempt(f)
  local p = R.cur.proc
  local inner = H.newco(function() return RETURN, f() end)
  H.process_coroutines[inner] = true          -- nobody else resumes or closes it
  p.chunk = inner
  local after
  local function inward(...)
    if p.interrupted then
      p.interrupted, p.chunk = nil, nil
      return false, "interrupted!"
    end
    return after(resume(inner, ...))
  end
  local function outward(tag, queue)
    if tag == WAIT then return inward(yield(WAIT, queue)) end
    if tag == YIELD then return inward(yield(YIELD)) end
    return inward(yield())
  end
  function after(ok, tag, ...)
    if R.killing then error(KILL, 0) end
    if ok and tag ~= RETURN then return outward(tag, ...) end
    p.chunk = nil
    if ok then return true, ... end
    local message = H.error_text(tag)
    if message == "not enough memory" then H.kill_step("RateLimited", "memory limit exceeded") end
    return false, H.script_stack(inner, message)
  end
  return after(resume(inner))
end

local function forget(queue, rec)
  for i = #queue, 1, -1 do
    local w = queue[i]
    if w == rec or w.rec == rec then raw.table.remove(queue, i) end
  end
end

-- Take a blocked record out of everything that could wake it. What waits for a time or a future
-- keeps a record that belongs to no living process.
local function unblock(p, rec)
  local channels = {}
  for ch in next, p.channels or {} do channels[ch] = true end
  for _, ch in next, p.topics or {} do channels[ch] = true end
  if p.inbox then channels[p.inbox] = true end
  if p.events then channels[p.events] = true end
  for ch in next, channels do
    forget(ch[S].recvq, rec)
    if ch[S].sendq[1] then forget(ch[S].sendq, rec) end
  end
  H.forget_requests(p, rec)
  rec.proc = H.GONE
end

-- Python: stop the chunk that runs in a process, or whatever computes there.
function H.interrupt(idx)
  local p = H.procs[idx]
  if not p then return end
  local computing = p.hold
  if computing and computing ~= p.main then
    H.abandon(computing)
  end
  if not p.chunk then return end
  p.interrupted = true
  if H.is_queued(p.main) then return end
  local old = p.main
  p.main = { proc = p, nb = 0, used = 0, co = old.co }
  unblock(p, old)
  H.wake(p.main)
end
