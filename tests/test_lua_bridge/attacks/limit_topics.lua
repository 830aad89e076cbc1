-- attack: listen on topics without end
-- expect: dead RateLimited limit exceeded
return function()
  local i = 0
  while true do
    i = i + 1
    process.listen("topic " .. i)
  end
end
