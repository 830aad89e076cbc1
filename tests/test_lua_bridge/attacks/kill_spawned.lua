-- attack: the loop in a spawned coroutine while main waits
-- expect: dead RateLimited instruction limit exceeded
return function()
  coroutine.spawn(function() while true do pcall(function() while true do end end) end end)
  process.inbox():receive()
end
