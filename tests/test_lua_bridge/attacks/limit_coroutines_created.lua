-- attack: generators without end, all kept
-- expect: dead RateLimited limit exceeded
return function()
  local keep = {}
  while true do
    local co = coroutine.create(function() coroutine.yield() end)
    coroutine.resume(co)
    keep[#keep + 1] = co
  end
end
