-- attack: finalizers, which no hook can interrupt
-- expect: refused
return function()
  local mt = { __gc = function() while true do end end }
  assert(not pcall(setmetatable, {}, mt))
  assert(not pcall(setmetatable, {}, { __gc = true }))
  return "refused"
end
