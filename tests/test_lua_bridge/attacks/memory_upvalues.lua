-- attack: closures without end
-- expect: dead RateLimited limit exceeded
return function()
  local chain
  while true do
    local previous = chain
    chain = function() return previous end
  end
end
