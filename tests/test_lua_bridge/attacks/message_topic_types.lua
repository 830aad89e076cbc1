-- attack: topics and destinations of wrong types
-- expect: refused
return function(neighbour)
  for _, bad in ipairs { {}, print, true, coroutine.create(print), setmetatable({}, { __tostring = function() return "x" end }) } do
    assert(not pcall(process.send, neighbour, bad, 1))
    assert(not pcall(process.send, bad, "x", 1))
    assert(not pcall(process.listen, bad))
    assert(not pcall(process.unlisten, bad))
  end
  return "refused"
end
