-- attack: tables whose border search and rehash are expensive
-- expect: harmless
return function()
  local t = {}
  for i = 1, 40 do t[1 << i] = i end
  local n = #t
  t[math.maxinteger], t[math.mininteger], t[-0.0], t[2 ^ 53] = 1, 2, 3, 4
  assert(not pcall(function() t[0 / 0] = 1 end))
  assert(not pcall(function() t[nil] = 1 end))
  return "done"
end
