-- attack: fill memory to the brim, then call functions that Python serves
-- modules: time, json
-- expect: dead RateLimited limit exceeded
return function()
  local keep = {}
  while true do
    pcall(function() while true do keep[#keep + 1] = ("x"):rep(64) .. #keep end end)
    for i = 1, 100 do
      pcall(time.now)
      pcall(time.parse_duration, "1h")
      pcall(json.validate, { type = "object" }, { a = i })
      pcall(function() return time.now():format("2006") end)
    end
  end
end
