-- attack: argument lists that double on every call
-- expect: dead
local function double(...)
  local t = table.pack(...)
  for i = 1, t.n do t[t.n + i] = t[i] end
  return double(table.unpack(t, 1, t.n * 2))
end
return function() double(1, 2) end
