-- attack: a pattern of exponential cost
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do (("a"):rep(400)):find((".-"):rep(4) .. "b") end
end
