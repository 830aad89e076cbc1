-- attack: a step that sends to itself and the dead without end and never lets go
-- expect: dead RateLimited limit exceeded
return function()
  local me, dead = process.pid(), "{app:lab|0x0ffff}"
  local big = {}
  for i = 1, 200 do big[i] = { i } end
  while true do
    process.send(me, "t", big)
    process.send(dead, "t", big)
  end
end
