-- attack: wait in a pcall, so that a terminate might be swallowed
-- expect: endless
return function()
  local inbox = process.inbox()
  while true do pcall(function() inbox:receive() end) end
end
