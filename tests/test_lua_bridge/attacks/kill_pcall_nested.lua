-- attack: swallow the kill with many layers of pcall
-- expect: dead RateLimited instruction limit exceeded
local function layer(n)
  if n == 0 then while true do end end
  while true do pcall(layer, n - 1) end
end
return function() layer(50) end
