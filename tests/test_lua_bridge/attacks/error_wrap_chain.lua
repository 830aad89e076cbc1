-- attack: wrap an error two thousand times and ask for its stack
-- expect: harmless
return function()
  local e = errors.new("x")
  for i = 1, 2000 do e = errors.wrap(e, "again") end
  assert(#e:stack() < 100000)
  return "done"
end
