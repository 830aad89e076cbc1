-- attack: move ranges that do not exist
-- expect: refused
return function()
  assert(not pcall(table.move, {}, 1, 1 << 40, 2))
  assert(not pcall(table.move, {}, 1, 100000000, 2, {}))
  assert(not pcall(table.move, {}, math.mininteger, math.maxinteger, 1))
  return "refused"
end
