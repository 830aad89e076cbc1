-- attack: the loop 60 coroutines deep
-- expect: dead RateLimited instruction limit exceeded
local function deep(n)
  if n == 0 then while true do end end
  while true do coroutine.resume(coroutine.create(deep), n - 1) end
end
return function() deep(60) end
