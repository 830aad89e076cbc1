-- attack: join a table of large strings
-- expect: dead RateLimited limit exceeded
return function()
  local t, piece = {}, ("x"):rep(100000)
  for i = 1, 100000 do t[i] = piece end
  while true do
    local s = table.concat(t)
    t[#t + 1] = s
  end
end
