-- attack: double a string for ever
-- expect: dead RateLimited memory limit exceeded
return function()
  local s = "x"
  while true do s = s .. s end
end
