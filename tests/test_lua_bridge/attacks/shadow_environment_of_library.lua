-- attack: change the environment that other processes compile into
-- expect: harmless
return function()
  local env = {}
  load("x = 1; function string_rep() end", "x", "t", env)()
  load("local a <close> = nil; b = 2")()
  local chunk = load("string = nil; pcall = nil; return _ENV")
  local e = chunk()
  e.table = nil
  return "done"
end
