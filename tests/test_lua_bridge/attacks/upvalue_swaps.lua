-- attack: take the functions of libraries apart by means a debugger has
-- expect: refused
return function()
  for _, name in ipairs { "debug", "io", "package", "python", "collectgarbage", "dofile", "loadfile", "newproxy", "getfenv", "setfenv", "loadstring", "warn" } do
    assert(_G[name] == nil, name)
    assert(rawget(_G, name) == nil, name)
    assert(load("return " .. name)() == nil, name)
    assert(not pcall(require, name), name)
  end
  local env = _G
  for _, hidden in ipairs { "_LOADED", "_PRELOAD", "_CLIBS", "trio_actors.arm", 1, 2 } do assert(env[hidden] == nil) end
  assert(not pcall(string.dump, print))
  return "refused"
end
