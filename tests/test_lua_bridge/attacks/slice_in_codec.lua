-- attack: copy large tables while being interrupted, so that two copies might mix
-- expect: harmless
return function(neighbour)
  local t = {}
  for i = 1, 500 do t[i] = { id = i, text = "a" .. i } end
  for round = 1, 10 do
    process.send(process.pid(), "x", t)
    process.send(neighbour, "noise", t)
  end
  local inbox = process.inbox()
  for round = 1, 10 do
    local got = inbox:receive():payload()
    assert(#got == 500)
    for i = 1, 500 do assert(got[i].id == i and got[i].text == "a" .. i) end
  end
  return "done"
end
