-- attack: loop while a coroutine is being closed
-- expect: dead RateLimited instruction limit exceeded
return function()
  local co = coroutine.create(function()
    local guard <close> = setmetatable({}, { __close = function() while true do end end })
    coroutine.yield()
  end)
  coroutine.resume(co)
  while true do pcall(coroutine.close, co) end
end
