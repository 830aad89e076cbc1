-- One websocket: what the client writes goes to the keeper, what the keeper tells goes to the client.
local function main(request)
  local inbox, events = process.inbox(), process.events()
  process.send("wall.keeper", "join")
  while true do
    local got = channel.select { events:case_receive(), inbox:case_receive() }
    if got.channel == events then
      if got.value.kind == process.event.CANCEL then return end
    elseif got.value:topic() == "message" then
      process.send("wall.keeper", "note", { text = tostring(got.value:payload()), by = request.remote })
    else
      process.send(request.socket, "message", got.value:payload())
    end
  end
end

return main
