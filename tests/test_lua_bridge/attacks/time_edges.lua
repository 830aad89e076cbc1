-- attack: times at the ends of 64 bits, layouts and texts of a megabyte
-- modules: time
-- expect: harmless
return function()
  local long = ("2006-01-02 "):rep(50000)
  for _, sec in ipairs { math.maxinteger, math.mininteger, 0, -1 } do
    local t = time.unix(sec, math.maxinteger)
    for _, f in ipairs { "format_rfc3339", "utc", "year", "weekday", "year_day", "unix_nano", "is_zero" } do pcall(t[f], t) end
    pcall(t.add, t, math.mininteger)
    pcall(t.add_date, t, math.maxinteger, math.mininteger, 5)
    pcall(t.round, t, math.maxinteger)
    pcall(t.truncate, t, 7)
    pcall(t.format, t, long)
    pcall(t.in_location, t, time.load_location("Europe/Berlin"))
    pcall(tostring, t)
  end
  pcall(time.parse, long, long)
  pcall(time.parse, ("."):rep(5000), "x")
  pcall(time.parse_duration, ("1h"):rep(50000))
  pcall(time.parse_duration, ("9"):rep(4000) .. "h")
  for _, name in ipairs { "../../etc/passwd", "/etc/passwd", "\0", "a/../b", ("x"):rep(50000), "Europe" } do
    assert(time.load_location(name) == nil)
  end
  return "done"
end
