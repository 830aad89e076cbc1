-- attack: a pattern that recurses very deep
-- expect: dead
return function()
  local ok, err = pcall(string.find, ("a"):rep(300000), (".-"):rep(100000))
  assert(not ok or err ~= nil)
  pcall(string.find, ("x"):rep(1000), ("(x"):rep(40))
  pcall(string.find, ("x"):rep(300000), ("x?"):rep(300) .. "y")
  assert(not pcall(string.find, "x", ("("):rep(100)))
  assert(not pcall(string.find, "x", "%"))
  assert(not pcall(string.find, "x", "[a"))
  assert(not pcall(string.gsub, "x", "x", "%9"))
  return "refused"
end
