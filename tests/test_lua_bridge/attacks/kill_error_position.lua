-- attack: raise errors for ever
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do pcall(error, "x", 1) end
end
