-- attack: yield very many values at once
-- expect: harmless
return function()
  local many = {}
  for i = 1, 5000 do many[i] = i end
  local co = coroutine.create(function() coroutine.yield(table.unpack(many)) end)
  assert(select("#", coroutine.resume(co)) == 5001)
  coroutine.yield(table.unpack(many))
  return "done"
end
