-- attack: the loop in __tostring, called by string.format
-- expect: dead RateLimited instruction limit exceeded
return function()
  local t = setmetatable({}, { __tostring = function() while true do pcall(function() while true do end end) end end })
  while true do pcall(string.format, "%s", t) end
end
