-- attack: use the parts of os that touch the computer
-- expect: refused
return function()
  for _, name in ipairs { "execute", "exit", "getenv", "remove", "rename", "tmpname", "setlocale" } do
    assert(os[name] == nil, "os." .. name .. " is in reach")
  end
  return "refused"
end
