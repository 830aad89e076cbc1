-- attack: timers without end
-- modules: time
-- expect: dead RateLimited limit exceeded
return function()
  while true do time.after("1h") end
end
