-- attack: the loop in a metamethod
-- expect: dead RateLimited instruction limit exceeded
return function()
  local t = setmetatable({}, { __index = function() while true do end end })
  while true do pcall(function() return t.x end) end
end
