-- attack: the same through gsub
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do (("a"):rep(2000)):gsub("a*a*a*a*b", "") end
end
