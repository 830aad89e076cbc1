-- attack: seven stars in a row
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do (("a"):rep(60)):find(("a*"):rep(7) .. "b") end
end
