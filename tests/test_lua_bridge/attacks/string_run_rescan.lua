-- attack: a repetition that gives nothing back, read again from every position of a long run
-- expect: dead RateLimited instruction limit exceeded
return function()
  local s = ("a"):rep(500000)
  while true do s:find("a*b") end
end
