-- attack: close channels while hundreds wait on them in both directions
-- expect: harmless
return function()
  local ch, ended = channel.new(), 0
  for i = 1, 300 do
    coroutine.spawn(function()
      pcall(channel.select, { ch:case_receive(), channel.new():case_receive() })
      ended = ended + 1
    end)
  end
  coroutine.yield()
  ch:close()
  ch:close()
  for i = 1, 10 do coroutine.yield() end
  assert(ended == 300)
  assert(not pcall(ch.send, ch, 1))
  return "done"
end
