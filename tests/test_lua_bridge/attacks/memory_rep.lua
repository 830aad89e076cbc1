-- attack: gigantic results of string.rep
-- expect: refused
return function()
  assert(not pcall(string.rep, "x", 1 << 40))
  assert(not pcall(string.rep, "x", math.maxinteger))
  assert(not pcall(string.rep, "", 1e15 // 1 | 0, "y"))
  assert(not pcall(string.rep, ("x"):rep(1000), 1 << 30))
  local ok, s = pcall(string.rep, "", 10 ^ 15 // 1 | 0)
  assert(not ok or s == "")
  return "refused"
end
