-- attack: add a finalizer to a metatable that is already in use
-- expect: harmless
return function()
  local mt = {}
  for i = 1, 1000 do setmetatable({}, mt) end
  mt.__gc = function() while true do end end
  assert(not pcall(setmetatable, {}, mt))
  local junk
  for i = 1, 20000 do junk = { i } end
  return "done"
end
