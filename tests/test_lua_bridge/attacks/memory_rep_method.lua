-- attack: gigantic results through the method of a string
-- expect: refused
return function()
  assert(not pcall(function() return ("x"):rep(1 << 40) end))
  return "refused"
end
