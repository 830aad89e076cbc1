-- attack: the loop inside a reader function
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do pcall(load, function() while true do end end) end
end
