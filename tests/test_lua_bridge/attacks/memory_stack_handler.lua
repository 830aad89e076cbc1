-- attack: overflow the stack, and again in the message handler
-- expect: dead RateLimited limit exceeded
local function f() return 1 + f() end
return function() while true do xpcall(f, f) end end
