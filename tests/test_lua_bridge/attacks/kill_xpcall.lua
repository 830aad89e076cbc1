-- attack: an error handler that goes on for ever
-- expect: dead RateLimited instruction limit exceeded
return function()
  xpcall(function() while true do end end, function() while true do end end)
end
