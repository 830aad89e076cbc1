-- attack: gigantic fields in string.format
-- expect: refused
return function()
  assert(not pcall(string.format, "%999999999d", 1))
  assert(not pcall(string.format, "%.999999999f", 1))
  assert(not pcall(string.format, ("%s"):rep(100000), 1))
  return "refused"
end
