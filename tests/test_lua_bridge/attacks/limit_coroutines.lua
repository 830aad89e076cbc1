-- attack: coroutines without end
-- expect: dead RateLimited limit exceeded
return function()
  while true do coroutine.spawn(function() channel.new():receive() end) end
end
