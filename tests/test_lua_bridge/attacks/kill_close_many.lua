-- attack: thousands of closing variables that each want to run while the kill unwinds
-- expect: dead RateLimited limit exceeded
local function nest(n)
  local guard <close> = setmetatable({}, { __close = function() while true do end end })
  if n > 0 then return nest(n - 1), 1 end
  while true do end
end
return function() nest(2000) end
