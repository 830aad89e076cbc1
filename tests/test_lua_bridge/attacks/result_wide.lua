-- attack: return a table of a million fields
-- expect: dead
return function()
  local t = {}
  for i = 1, 1000000 do t[i] = i end
  return t
end
