-- attack: plain search of the worst kind
-- expect: dead RateLimited instruction limit exceeded
return function()
  local s, needle = ("a"):rep(1000000), ("a"):rep(500000) .. "b"
  while true do s:find(needle, 1, true) end
end
