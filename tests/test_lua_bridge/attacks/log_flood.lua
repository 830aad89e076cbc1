-- attack: print for ever
-- expect: dead RateLimited limit exceeded
return function()
  while true do print("flood") end
end
