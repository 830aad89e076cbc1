-- attack: the loop in the function given to gsub
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do pcall(string.gsub, "abc", ".", function() while true do end end) end
end
