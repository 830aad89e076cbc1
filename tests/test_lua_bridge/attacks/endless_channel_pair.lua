-- attack: two coroutines that keep each other busy for ever
-- expect: endless
return function()
  local ch = channel.new()
  coroutine.spawn(function() while true do ch:send(1) end end)
  while true do ch:receive() end
end
