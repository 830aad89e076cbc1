-- attack: a closing variable keeps its coroutine and error alive and starts over, for ever
-- expect: dead RateLimited limit exceeded
local function again(n)
  local ok = pcall(function()
    local g <close> = setmetatable({}, { __close = function(_, e)
      for _ = 1, 10 do coroutine.wrap(again)(n + 1) end
    end })
    error(setmetatable({}, { __index = function() while true do end end }))
  end)
  return again(n + 1)
end
return function() again(0) end
