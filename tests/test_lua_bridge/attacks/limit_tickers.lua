-- attack: tickers of one nanosecond, and never read them
-- modules: time
-- expect: endless
return function()
  for i = 1, 50 do time.ticker(1) end
  process.inbox():receive()
end
