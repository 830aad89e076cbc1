-- attack: fill memory to the brim, then fail with an error object
-- expect: dead RateLimited limit exceeded
return function()
  local keep = {}
  pcall(function() while true do keep[#keep + 1] = ("x"):rep(64) .. #keep end end)
  error(errors.new { message = ("x"):rep(100000), details = { keep = keep } })
end
