-- attack: replace the metatable of the own environment to reach what is behind it
-- expect: refused
return function()
  local ok = pcall(setmetatable, _G, {})
  assert(not ok or tostring ~= nil)
  assert(not getmetatable(_G))
  return "refused"
end
