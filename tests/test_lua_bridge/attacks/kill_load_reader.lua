-- attack: a reader function that never comes to an end
-- expect: dead RateLimited limit exceeded
return function()
  while true do load(function() return " " end) end
end
