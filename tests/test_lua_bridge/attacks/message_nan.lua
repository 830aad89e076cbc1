-- attack: send numbers at every edge
-- expect: harmless
return function(neighbour)
  local edges = { 0 / 0, 1 / 0, -1 / 0, -0.0, math.maxinteger, math.mininteger, 2 ^ 53, 2 ^ 63, 1e308, 5e-324 }
  local keys = {}
  for i, v in ipairs(edges) do if v == v then keys[v] = v end end
  process.send(neighbour, "noise", edges)
  process.send(neighbour, "noise", keys)
  process.send(process.pid(), "noise", edges, keys)
  local got = process.inbox():receive():payload()
  assert(got[1][1] ~= got[1][1] and math.type(got[1][5]) == "integer" and math.type(got[1][7]) == "float")
  return "done"
end
