-- attack: return a table 100,000 levels deep
-- expect: dead Invalid nested deeper
return function()
  local t = {}
  local top = t
  for i = 1, 100000 do
    t[1] = {}
    t = t[1]
  end
  return top
end
