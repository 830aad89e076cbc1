-- attack: the loop in __tostring, called by print, which never fails
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do print(setmetatable({}, { __tostring = function() while true do end end })) end
end
