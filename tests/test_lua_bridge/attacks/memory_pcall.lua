-- attack: swallow the memory error and try again, for ever
-- expect: dead RateLimited limit exceeded
return function()
  local keep = {}
  while true do
    pcall(function() while true do keep[#keep + 1] = ("x"):rep(1000) .. #keep end end)
  end
end
