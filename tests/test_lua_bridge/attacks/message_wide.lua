-- attack: messages of a million small fields
-- expect: refused
return function(neighbour)
  local t = {}
  for i = 1, 1000000 do t[i] = i end
  local ok, err = process.send(neighbour, "noise", t)
  assert(ok == nil and err:kind() == errors.INVALID, tostring(err))
  return "refused"
end
