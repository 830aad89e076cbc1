-- attack: pcall as its own argument
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do pcall(pcall, pcall, pcall, function() while true do end end) end
end
