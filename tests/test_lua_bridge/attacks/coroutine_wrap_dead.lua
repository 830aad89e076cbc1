-- attack: use dead and foreign coroutines
-- expect: refused
return function()
  local co = coroutine.create(function() end)
  coroutine.resume(co)
  assert(not coroutine.resume(co))
  local w = coroutine.wrap(function() error("x") end)
  assert(not pcall(w))
  assert(not pcall(w))
  assert(not pcall(coroutine.resume, 5))
  assert(not pcall(coroutine.resume, {}))
  assert(not pcall(coroutine.create, "x"))
  assert(not pcall(coroutine.spawn, 5))
  return "refused"
end
