-- attack: run the loop inside a coroutine
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do pcall(coroutine.wrap(function() while true do end end)) end
end
