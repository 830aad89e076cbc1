-- attack: utf8 over a large string by every function, with positions out of reach
-- expect: dead RateLimited limit exceeded
return function()
  local s = ("\u{10FFFF}"):rep(250000)
  for _, f in ipairs { function() return utf8.len(s, -math.maxinteger) end, function() return utf8.offset(s, math.maxinteger) end,
    function() return utf8.codepoint(s, 1, -1) end, function() return utf8.char(table.unpack({ utf8.codepoint(s, 1, 8000) })) end,
    function() return utf8.char(2 ^ 31) end, function() return utf8.len(("\xff"):rep(1000)) end,
    function() return utf8.offset(s, math.mininteger) end } do pcall(f) end
  while true do for _ in utf8.codes(s) do end end
end
