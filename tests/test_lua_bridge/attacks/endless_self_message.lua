-- attack: answer every message to oneself with another one
-- expect: endless
return function()
  local inbox = process.inbox()
  process.send(process.pid(), "x")
  while true do
    inbox:receive()
    process.send(process.pid(), "x")
  end
end
