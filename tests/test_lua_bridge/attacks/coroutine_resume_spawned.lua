-- attack: resume and close coroutines that belong to the scheduler
-- expect: refused
return function()
  local ch = channel.new()
  local t = coroutine.spawn(function() ch:receive() end)
  coroutine.yield()
  assert(not coroutine.resume(t))
  assert(not pcall(coroutine.close, t))
  ch:send(1)
  coroutine.yield()
  assert(not coroutine.resume(t))
  return "refused"
end
