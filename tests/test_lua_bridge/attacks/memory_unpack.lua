-- attack: millions of values at once
-- expect: refused
return function()
  assert(not pcall(table.unpack, {}, 1, 10000000))
  assert(not pcall(string.byte, ("x"):rep(1000000), 1, -1))
  assert(not pcall(string.char, table.unpack({}, 1, 200)))
  return "refused"
end
