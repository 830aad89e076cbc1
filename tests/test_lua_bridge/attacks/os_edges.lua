-- attack: dates that no calendar has
-- expect: harmless
return function()
  for _, v in ipairs { math.maxinteger, math.mininteger, 1e18 // 1 | 0, -1e18 // 1 | 0 } do
    pcall(os.date, "%c", v)
    pcall(os.date, "!*t", v)
    pcall(os.time, { year = v, month = v, day = v })
  end
  for i = 0, 255 do pcall(os.date, "%" .. string.char(i)) end
  pcall(os.date, ("%c"):rep(100000))
  pcall(os.time, setmetatable({}, { __index = function() error("trap") end }))
  return "done"
end
