-- attack: a circle of __index tables
-- expect: harmless
return function()
  local a, b = {}, {}
  setmetatable(a, { __index = b, __newindex = b })
  setmetatable(b, { __index = a, __newindex = a })
  assert(not pcall(function() return a.x end))
  assert(not pcall(function() a.x = 1 end))
  return "done"
end
