-- attack: numbers of a megabyte as text
-- expect: harmless
return function()
  local s = ("1"):rep(1000000)
  tonumber(s)
  tonumber(s, 36)
  tonumber("0x" .. s)
  tonumber("1e" .. s)
  pcall(function() return s + 1 end)
  pcall(function() return s .. 1 < s end)
  pcall(string.format, "%d", s)
  pcall(string.format, "%5.2s|%-10s|%q", s, s, "\0\n\r")
  pcall(utf8.char, 0x7FFFFFFF)
  pcall(utf8.codepoint, s, 1, -1)
  return "done"
end
