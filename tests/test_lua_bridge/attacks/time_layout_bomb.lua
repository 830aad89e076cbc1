-- attack: layouts and inputs of time that are long, odd and not text
-- modules: time
-- expect: dead RateLimited limit exceeded
return function()
  local now = time.now()
  for _, l in ipairs { "", ("2006"):rep(50000), ("Jan"):rep(50000), ("."):rep(100000), "\0\0", ("%d"):rep(1000), "2006-01-02T15:04:05.999999999Z07:00" } do
    pcall(now.format, now, l)
    pcall(time.parse, l, ("9"):rep(100000))
    pcall(time.parse, l, l)
  end
  pcall(time.parse_duration, ("1h"):rep(100000))
  pcall(time.parse_duration, ("9"):rep(100000) .. "h")
  pcall(time.load_location, ("../"):rep(100) .. "etc/passwd")
  pcall(time.load_location, "/etc/passwd")
  pcall(time.fixed_zone, ("z"):rep(1000000), math.maxinteger)
  pcall(os.date, ("%c"):rep(100000))
  pcall(os.time, { year = math.maxinteger, month = math.mininteger, day = 1 })
  while true do pcall(time.parse, ("Monday January "):rep(3000), ("Monday January "):rep(3000)) end
end
