-- attack: back references over a long text
-- expect: dead RateLimited instruction limit exceeded
return function()
  local s = ("a"):rep(20000)
  while true do s:find("(.+)%1b") end
end
