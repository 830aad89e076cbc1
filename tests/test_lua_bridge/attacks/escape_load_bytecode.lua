-- attack: load hand-made bytecode
-- expect: refused
return function()
  local code = "\27Lua\x54\0\x19\x93\r\n\x1a\n\4\8\8" .. ("\0"):rep(200)
  local f, err = load(code)
  assert(f == nil and err, "bytecode was loaded")
  f, err = load(code, "x", "bt")
  assert(f == nil and err)
  local ok, g = pcall(load, code, "x", "b")
  assert(not ok or g == nil)
  return "refused"
end
