-- attack: a select with a hundred thousand cases of one channel, over and over
-- expect: dead RateLimited limit exceeded
return function()
  local ch = channel.new()
  local cases = {}
  for i = 1, 100000 do cases[i] = ch:case_receive() end
  local wake = channel.new()
  cases[#cases + 1] = wake:case_receive()
  coroutine.spawn(function() while true do wake:send(1) end end)
  while true do channel.select(cases) end
end
