-- attack: loop in the __close of a variable while the kill unwinds
-- expect: dead RateLimited instruction limit exceeded
return function()
  local guard <close> = setmetatable({}, { __close = function() while true do pcall(function() while true do end end) end end })
  while true do end
end
