-- attack: names without end
-- expect: dead RateLimited limit exceeded
return function()
  local i = 0
  while true do
    i = i + 1
    process.registry.register("name " .. i)
  end
end
