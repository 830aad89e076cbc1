-- attack: the loop in __tostring, called by C code that cannot be left
-- expect: dead RateLimited instruction limit exceeded
return function()
  local t = setmetatable({}, { __tostring = function() while true do end end })
  while true do pcall(tostring, t) end
end
