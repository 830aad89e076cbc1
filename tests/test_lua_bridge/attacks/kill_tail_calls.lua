-- attack: endless tail calls
-- expect: dead RateLimited instruction limit exceeded
local function f() return f() end
return function() f() end
