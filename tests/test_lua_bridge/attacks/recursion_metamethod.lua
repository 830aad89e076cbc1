-- attack: metamethods that call themselves
-- expect: harmless
return function()
  local mt = {}
  local t = setmetatable({}, mt)
  mt.__index = function(_, k) return t[k .. "x"] end
  mt.__tostring = function() return tostring(t) end
  mt.__concat = function(a, b) return a .. b end
  mt.__eq = function() return t == setmetatable({}, mt) end
  for _, f in ipairs { function() return t.x end, function() return tostring(t) end, function() return t .. "x" end,
    function() return t == setmetatable({}, mt) end } do
    assert(not pcall(f))
  end
  return "done"
end
