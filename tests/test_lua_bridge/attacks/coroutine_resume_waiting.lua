-- attack: resume a coroutine whose inner one waits in the host
-- expect: refused
return function()
  local ch = channel.new()
  local inner = coroutine.create(function() return ch:receive() end)
  local got
  coroutine.spawn(function()
    local _, v = coroutine.resume(inner)
    got = v
  end)
  coroutine.yield()
  coroutine.yield()
  local ok, err = coroutine.resume(inner, "forged")
  assert(not ok and err)
  assert(not pcall(coroutine.close, inner))
  assert(coroutine.status(inner) ~= "suspended")
  ch:send("real")
  coroutine.yield()
  coroutine.yield()
  assert(got == "real", tostring(got))
  return "refused"
end
