-- attack: flood a neighbour that does not read
-- expect: dead RateLimited limit exceeded
return function(neighbour)
  local payload = ("x"):rep(1000)
  while true do process.send(neighbour, "ignored by everybody", payload) end
end
