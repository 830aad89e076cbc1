-- attack: gigantic formats in string.pack
-- expect: dead RateLimited memory limit exceeded
return function()
  assert(not pcall(string.pack, "i17", 1))
  assert(not pcall(string.pack, "c2000000000", "x"))
  assert(not pcall(string.pack, ("c100000000"):rep(50), table.unpack({}, 1, 50)))
  assert(not pcall(string.unpack, "s8", ("\255"):rep(8)))
  return "refused"
end
