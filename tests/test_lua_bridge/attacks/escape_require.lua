-- attack: require files and modules that nobody declared
-- expect: refused
return function()
  for _, name in ipairs { "os.execute", "../../etc/passwd", "/etc/passwd", "debug", "io", "ffi", "package",
    "socket", "lua_bridge", "funcs", "", "host:sched", ("x"):rep(100000) } do
    local ok, err = pcall(require, name)
    assert(not ok and tostring(err):find("not found", 1, true), tostring(err))
  end
  for _, bad in ipairs { {}, 5, print } do
    assert(not pcall(require, bad))
  end
  assert(not pcall(require))
  return "refused"
end
