-- attack: loops of goto without any call, at the edge of the budget
-- expect: dead RateLimited instruction limit exceeded
return function()
  local i = 0
  ::again::
  i = i + 1
  if i % 2 == 0 then goto again else goto other end
  ::other::
  goto again
end
