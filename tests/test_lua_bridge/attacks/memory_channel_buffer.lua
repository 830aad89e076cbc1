-- attack: a channel of enormous size
-- expect: dead RateLimited limit exceeded
return function()
  local ch = channel.new(math.maxinteger)
  while true do ch:send({ 1 }) end
end
