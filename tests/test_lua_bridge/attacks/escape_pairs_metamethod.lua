-- attack: make pairs of an own table walk over a host object
-- expect: refused
return function()
  local target = errors.new("x")
  local probe = setmetatable({}, { __pairs = function() return next, target, nil end })
  for k in pairs(probe) do error("shows " .. tostring(k)) end
  for k in (function() return next, target end)() do error("shows " .. tostring(k)) end
  return "refused"
end
