-- attack: endless recursion, swallowed, for ever
-- expect: dead RateLimited limit exceeded
local function f(n) return 1 + f(n + 1) end
return function() while true do pcall(f, 1) end end
