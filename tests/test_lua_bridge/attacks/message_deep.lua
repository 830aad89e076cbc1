-- attack: send a table 100,000 levels deep
-- expect: refused
return function(neighbour)
  local t = {}
  local top = t
  for i = 1, 100000 do
    t[1] = {}
    t = t[1]
  end
  local ok, err = process.send(neighbour, "noise", top)
  assert(ok == nil and err:kind() == errors.INVALID)
  return "refused"
end
