-- attack: take memory in small portions, with a pause after each
-- expect: dead RateLimited memory limit exceeded
return function()
  local keep = {}
  while true do
    for i = 1, 100 do keep[#keep + 1] = ("x"):rep(10000) .. #keep end
    coroutine.yield()
  end
end
