-- attack: channels without end, all kept
-- expect: dead RateLimited limit exceeded
return function()
  local keep = {}
  while true do keep[#keep + 1] = channel.new(10) end
end
