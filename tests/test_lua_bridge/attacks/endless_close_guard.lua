-- attack: refuse to go: a closing variable that waits when the process is ended
-- expect: endless
return function()
  local never = channel.new()
  local guard <close> = setmetatable({}, { __close = function() while true do pcall(never.receive, never) end end })
  process.inbox():receive()
end
