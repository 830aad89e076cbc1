-- attack: a crowd of coroutines that give way for ever
-- expect: endless
return function()
  for i = 1, 500 do
    coroutine.spawn(function() while true do coroutine.yield() end end)
  end
  while true do coroutine.yield() end
end
