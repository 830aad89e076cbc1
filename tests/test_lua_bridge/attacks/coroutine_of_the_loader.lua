-- attack: keep the coroutine in which the chunk was loaded, and use it later
-- expect: refused
local loader = coroutine.running()
return function()
  assert(not coroutine.resume(loader))
  assert(not pcall(coroutine.close, loader))
  assert(not pcall(coroutine.wrap(function() coroutine.resume(loader) coroutine.close(loader) end)))
  assert(coroutine.status(loader) ~= "running")
  for _ = 1, 5 do process.spawn("app:neighbour", "app:lab") end
  assert(not coroutine.resume(loader, function() return process end))
  assert(not pcall(coroutine.close, loader))
  return "refused"
end
