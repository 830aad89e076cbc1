-- attack: an error whose kind, message and details are as large as can be, thrown at the parent
-- expect: dead
return function()
  local big = ("x"):rep(1000000)
  local details = {}
  for i = 1, 50 do details["k" .. i] = big end
  error(errors.new { message = big, kind = big, retryable = true, details = details })
end
