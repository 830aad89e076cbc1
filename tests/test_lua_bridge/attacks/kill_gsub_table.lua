-- attack: the loop in the __index of the table given to gsub
-- expect: dead RateLimited instruction limit exceeded
return function()
  local t = setmetatable({}, { __index = function() while true do end end })
  while true do pcall(string.gsub, "abc", ".", t) end
end
