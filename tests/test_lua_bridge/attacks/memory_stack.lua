-- attack: endless recursion
-- expect: dead
local function f(n) return 1 + f(n + 1) end
return function() f(1) end
