-- attack: run the loop inside a coroutine and ignore that resume failed
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do coroutine.resume(coroutine.create(function() while true do end end)) end
end
