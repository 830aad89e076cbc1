-- Owns the wall: keeps the last notes, sends every new one to all who joined.
local KEEP = 50

local function main()
  local inbox, events = process.inbox(), process.events()
  local notes, members = {}, {}
  local shelf = store.get("wall:notes")
  process.registry.register("wall.keeper")
  process.started()
  while true do
    local got = channel.select { events:case_receive(), inbox:case_receive() }
    if got.channel == events then
      if got.value.kind == process.event.CANCEL then return end
      members[got.value.from] = nil -- a visitor has ended
    elseif got.value:topic() == "join" then
      members[got.value:from()] = true
      process.monitor(got.value:from())
    elseif got.value:topic() == "note" then
      local note = got.value:payload()
      table.insert(notes, note)
      if #notes > KEEP then table.remove(notes, 1) end
      shelf:set("recent", notes)
      for member in pairs(members) do process.send(member, "note", note) end
    end
  end
end

return main
