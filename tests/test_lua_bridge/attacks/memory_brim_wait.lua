-- attack: fill memory to the brim, then wait for messages that others send
-- expect: dead RateLimited limit exceeded
return function()
  local keep, inbox = {}, process.inbox()
  coroutine.spawn(function()
    pcall(function() while true do keep[#keep + 1] = ("x"):rep(64) .. #keep end end)
  end)
  while true do inbox:receive() end
end
