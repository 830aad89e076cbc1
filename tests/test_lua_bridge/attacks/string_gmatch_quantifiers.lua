-- attack: the same through gmatch
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do
    for _ in (("a"):rep(2000)):gmatch(".-.-.-b") do end
  end
end
