-- attack: the same with a message handler and inside coroutines
-- expect: dead RateLimited limit exceeded
return function()
  local keep = {}
  while true do
    coroutine.resume(coroutine.create(function()
      xpcall(function() while true do keep[#keep + 1] = ("x"):rep(1000) .. #keep end end, function(e) return { e, e } end)
    end))
  end
end
