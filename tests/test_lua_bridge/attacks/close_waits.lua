-- attack: block, yield and spawn while closing variables run, in a coroutine that is being closed
-- modules: time
-- expect: refused
return function()
  local ch = channel.new()
  local outcomes = {}
  for i, f in ipairs {
    function() ch:receive() end, function() coroutine.yield() end, function() time.sleep("1h") end,
    function() channel.select { ch:case_receive() } end, function() process.call("a:b", "app:lab") end,
  } do
    local inner = coroutine.create(function()
      local g <close> = setmetatable({}, { __close = f })
      coroutine.yield(1)
    end)
    assert(coroutine.resume(inner))
    outcomes[i] = pcall(coroutine.close, inner)
  end
  return "refused"
end
