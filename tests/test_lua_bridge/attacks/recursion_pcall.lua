-- attack: pcall inside pcall, 100,000 deep
-- expect: harmless
local function f(n)
  if n > 0 then pcall(f, n - 1) end
end
return function()
  f(100000)
  return "done"
end
