-- attack: a hundred thousand payload values
-- expect: refused
return function(neighbour)
  local t = {}
  for i = 1, 150000 do t[i] = i end
  local ok, result, err = pcall(process.send, neighbour, "noise", table.unpack(t))
  assert(not ok or result == nil, "sent")
  return "refused"
end
