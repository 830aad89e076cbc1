-- attack: messages of 200,000 small fields
-- expect: refused
return function(neighbour)
  local t = {}
  for i = 1, 200000 do t[i] = i end
  local ok, err = process.send(neighbour, "noise", t)
  assert(ok == nil and err:kind() == errors.INVALID, tostring(err))
  return "refused"
end
