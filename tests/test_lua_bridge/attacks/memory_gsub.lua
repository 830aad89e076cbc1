-- attack: a replacement that multiplies the text
-- expect: dead RateLimited limit exceeded
return function()
  local s = ("a"):rep(100000)
  while true do s = s:gsub("a", ("b"):rep(10000)):gsub("b", ("a"):rep(1000)) end
end
