-- attack: a select of a million cases
-- expect: dead RateLimited limit exceeded
return function()
  local ch, cases = channel.new(), {}
  for i = 1, 1000000 do cases[i] = ch:case_receive() end
  while true do channel.select(cases, true) end
end
