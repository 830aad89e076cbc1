-- attack: the same case many times in one select, then fire it
-- expect: harmless
return function()
  local ch = channel.new()
  local case = ch:case_receive()
  local got = {}
  coroutine.spawn(function()
    for i = 1, 2 do got[i] = channel.select { case, case, case, case }.value end
    ch:close()
  end)
  coroutine.yield()
  ch:send("a")
  ch:send("b")
  local _, ok = ch:receive()
  assert(not ok and got[1] == "a" and got[2] == "b")
  return "done"
end
