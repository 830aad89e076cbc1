-- attack: pose as a host file, so that frames and positions are hidden
-- expect: refused
return function()
  for _, name in ipairs { "=host:sched.lua", "@host:sched.lua", "host:sched.lua" } do
    local f = load("error('here')", name)
    local ok, err = pcall(f)
    assert(not ok and not tostring(err):find("host:", 1, true), tostring(err))
  end
  return "refused"
end
