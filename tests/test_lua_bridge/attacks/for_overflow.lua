-- attack: numeric loops over the ends of the integers, with steps that never arrive
-- expect: dead RateLimited instruction limit exceeded
return function()
  local n = 0
  for i = math.maxinteger - 10, math.maxinteger, 4 do n = n + 1 end
  for i = math.mininteger + 10, math.mininteger, -4 do n = n + 1 end
  for i = 1, math.huge, math.maxinteger do n = n + 1 end
  assert(not pcall(function() for i = 1, 10, 0 do end end))
  for i = 1, 3, 1e-300 do n = n + 1 end
end
