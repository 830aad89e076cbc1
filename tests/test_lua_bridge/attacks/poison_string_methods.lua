-- attack: poison the methods of all strings
-- expect: refused
return function()
  assert(not pcall(function() ("x").rep = 1 end))
  assert(not pcall(function() ("").evil = 1 end))
  assert(not pcall(rawset, "", "evil", 1))
  assert(("x").evil == nil)
  assert(("ab"):rep(2) == "abab")
  return "refused"
end
