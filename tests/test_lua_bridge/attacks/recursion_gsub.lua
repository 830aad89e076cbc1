-- attack: gsub inside the callback of gsub, without end
-- expect: harmless
local function f() return (("x"):gsub("x", f)) end
return function()
  assert(not pcall(f))
  return "done"
end
