-- attack: balanced brackets that never close, tried at every position
-- expect: dead RateLimited instruction limit exceeded
return function()
  local s = ("("):rep(200000)
  while true do s:find("%b()") end
end
