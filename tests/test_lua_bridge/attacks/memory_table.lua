-- attack: a table without end
-- expect: dead RateLimited limit exceeded
return function()
  local t = {}
  while true do t[#t + 1] = { #t } end
end
