-- attack: find host upvalues through closures that Lua hands out
-- expect: refused
return function()
  for _, lib in ipairs { string, table, math, coroutine, process, channel, errors } do
    for _, f in pairs(lib) do
      if type(f) == "function" then
        assert(not pcall(function() return f.upvalue end))
        assert(not pcall(function() f.x = 1 end))
      end
    end
  end
  return "refused"
end
