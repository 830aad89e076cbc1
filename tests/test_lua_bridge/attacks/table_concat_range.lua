-- attack: join and unpack ranges that do not exist
-- expect: refused
return function()
  assert(not pcall(table.concat, {}, "", 1, 1 << 40))
  assert(not pcall(table.unpack, {}, 1, 1 << 40))
  assert(not pcall(table.unpack, {}, math.mininteger, math.maxinteger))
  assert(not pcall(table.insert, {}, 1 << 40, 1))
  return "refused"
end
