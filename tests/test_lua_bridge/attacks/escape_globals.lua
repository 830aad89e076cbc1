-- attack: look for library functions that reach out of the sandbox
-- expect: refused
return function()
  for _, name in ipairs { "debug", "io", "package", "dofile", "loadfile", "loadstring", "collectgarbage",
    "getfenv", "setfenv", "newproxy", "warn", "python", "lupa", "module", "unpack", "jit", "ffi" } do
    assert(_G[name] == nil, name .. " is in reach")
    assert(_ENV[name] == nil, name .. " is in reach")
  end
  return "refused"
end
