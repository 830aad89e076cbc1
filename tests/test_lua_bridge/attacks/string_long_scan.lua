-- attack: a lazy match over a long text, from every position
-- expect: dead RateLimited instruction limit exceeded
return function()
  local s = ("a"):rep(500000)
  while true do s:find(".-b") end
end
