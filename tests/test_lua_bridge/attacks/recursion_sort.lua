-- attack: sort inside the comparison of sort, without end
-- expect: harmless
local function f()
  table.sort({ 1, 2, 3 }, f)
  return true
end
return function()
  assert(not pcall(f))
  return "done"
end
