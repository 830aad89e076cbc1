-- attack: close the coroutine that is running, and the main one from another
-- expect: refused
return function()
  local main = coroutine.running()
  assert(not pcall(coroutine.close, main))
  local done = channel.new()
  coroutine.spawn(function()
    assert(not pcall(coroutine.close, main))
    local ok = coroutine.resume(main)
    assert(not ok)
    done:send(true)
  end)
  done:receive()
  return "refused"
end
