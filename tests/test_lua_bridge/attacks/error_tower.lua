-- attack: a tower of pcall and xpcall in coroutines in which every floor catches the kill
-- expect: dead RateLimited limit exceeded
local function floor(n)
  if n == 0 then while true do end end
  local co = coroutine.wrap(function()
    xpcall(function() pcall(floor, n - 1) while true do end end, function(e)
      pcall(function() while true do end end)
      return e
    end)
    while true do end
  end)
  pcall(co)
  while true do pcall(co) end
end
return function() floor(60) end
