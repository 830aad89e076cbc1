-- attack: a closing variable closes the coroutine that it belongs to, and its siblings
-- expect: refused
return function()
  for _ = 1, 100 do
    local inner
    inner = coroutine.create(function()
      local a <close> = setmetatable({}, { __close = function() pcall(coroutine.close, inner) end })
      local b <close> = setmetatable({}, { __close = function() pcall(coroutine.resume, inner) end })
      coroutine.yield(1)
    end)
    assert(coroutine.resume(inner))
    coroutine.close(inner)
    assert(coroutine.status(inner) == "dead")
  end
  return "refused"
end
