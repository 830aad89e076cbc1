-- attack: flood the own inbox and never read it
-- expect: dead RateLimited limit exceeded
return function()
  process.inbox()
  local payload = ("x"):rep(10000)
  while true do
    process.send(process.pid(), "more", payload .. math.random())
  end
end
