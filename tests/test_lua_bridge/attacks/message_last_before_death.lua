-- attack: die by every limit right after a message was sent that is not delivered yet
-- expect: dead RateLimited limit exceeded
return function()
  local pid = assert(process.spawn("app:neighbour", "app:lab"))
  local t = {}
  for i = 1, 20 do process.send(pid, "unknown", { i }) end
  while true do
    process.send(pid, "unknown", t)
    t[#t + 1] = ("x"):rep(100000) .. #t
  end
end
