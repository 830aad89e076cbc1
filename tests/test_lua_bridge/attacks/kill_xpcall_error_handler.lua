-- attack: an error handler that fails, again and again
-- expect: dead RateLimited instruction limit exceeded
return function()
  local function handler(e) error(e) end
  while true do xpcall(error, handler, "x") end
end
