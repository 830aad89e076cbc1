-- attack: formats of string.pack and unpack that ask for more than there is
-- expect: dead RateLimited limit exceeded
return function()
  for _, f in ipairs { "s16", "i17", "!17i4", "c2147483647", "c99999999999", ("i16"):rep(100000), "Xi16", "z", ("x"):rep(500000), "!16" .. ("Xi16"):rep(10000) } do
    pcall(string.pack, f, 1)
    pcall(string.unpack, f, ("\255"):rep(100))
    pcall(string.packsize, f)
  end
  pcall(string.unpack, "s8", ("\127"):rep(16))
  pcall(string.unpack, "i4", "abcd", math.mininteger)
  pcall(string.unpack, ("b"):rep(500000), ("x"):rep(500000))
  while true do pcall(string.unpack, ("b"):rep(500000), ("x"):rep(500000)) end
end
