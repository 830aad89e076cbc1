-- attack: an iterator that never ends
-- expect: dead RateLimited instruction limit exceeded
return function()
  for _ in pairs(setmetatable({}, { __pairs = function() return function() return 1 end end })) do end
end
