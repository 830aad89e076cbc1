-- attack: loops at the ends of the integers
-- expect: harmless
return function()
  local n = 0
  for i = math.maxinteger - 2, math.maxinteger do n = n + 1 end
  for i = math.mininteger + 2, math.mininteger, -1 do n = n + 1 end
  assert(n == 6)
  assert(not pcall(function() for i = 1, 10, 0 do end end))
  assert(not pcall(function() return 1 // 0 end))
  assert(not pcall(function() return 1 % 0 end))
  assert(math.mininteger // -1 == math.mininteger)
  return "done"
end
