-- attack: join a table that holds one large string very often
-- expect: dead RateLimited limit exceeded
return function()
  local big, t = ("x"):rep(1000000), {}
  for i = 1, 100000 do t[i] = big end
  while true do pcall(table.concat, t, big) end
end
