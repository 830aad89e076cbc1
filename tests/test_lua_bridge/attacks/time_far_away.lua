-- attack: times and durations beyond every limit
-- modules: time
-- expect: refused
return function()
  local t = time.date(math.maxinteger, math.maxinteger, math.maxinteger, 0, 0, 0, 0)
  for _, f in ipairs {
    function() return time.unix(math.maxinteger, math.maxinteger):format("2006-01-02") end,
    function() return time.unix(math.mininteger, 0):add_date(math.maxinteger, math.maxinteger, math.maxinteger) end,
    function() return time.now():add(math.maxinteger):sub(time.unix(math.mininteger, 0)) end,
    function() return time.now():round(0) end,
    function() return time.now():truncate(math.mininteger) end,
    function() return time.unix(0 / 0, 1 / 0) end,
    function() return time.date(1, 1, 1, 1 / 0, 0, 0, 0) end,
    function() return time.after(math.maxinteger) end,
    function() return time.timer(math.maxinteger):reset(math.maxinteger) end,
    function() return time.sleep(-math.maxinteger) end,
    function() return process.cancel(process.pid(), math.maxinteger) end,
  } do pcall(function() tostring(f()) end) end
  return "refused"
end
