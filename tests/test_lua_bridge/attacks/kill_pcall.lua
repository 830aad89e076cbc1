-- attack: swallow the kill with pcall, for ever
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do pcall(function() while true do end end) end
end
