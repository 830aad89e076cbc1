-- attack: fill memory to the brim, then return a large value
-- expect: dead RateLimited limit exceeded
return function()
  local keep = {}
  pcall(function() while true do keep[#keep + 1] = ("x"):rep(64) .. #keep end end)
  return keep
end
