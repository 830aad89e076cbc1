-- A rule process: reports to the ledger, judges the lines it is given, one after the other. What
-- it cannot read crashes it; its service starts another one and the ledger knows which line it was.
local LEDGER = "logwatch.ledger"

-- Reports to the ledger, waiting until there is one; from then on only its lines count. Gives nil
-- when the process is asked to end before.
local function report(index, events)
  while true do
    local ledger = process.registry.lookup(LEDGER)
    if ledger and process.monitor(ledger) then
      process.send(ledger, "ready", { index = index, settings = rules.settings })
      return ledger
    end
    local got = channel.select { events:case_receive(), time.after("20ms"):case_receive() }
    if got.channel == events and got.value.kind == process.event.CANCEL then return nil end
  end
end

local function judge(number, line)
  local request = combined.parse(line)
  local score, tags = rules.score(request)
  return {
    number = number, client = request.client, minute = request.minute,
    status = request.status, bytes = request.bytes, score = score, tags = tags,
  }
end

local function main(index)
  local inbox, events = process.inbox(), process.events()
  process.registry.register("logwatch.rules." .. index)
  local ledger = report(index, events)
  while ledger do
    local got = channel.select { events:case_receive(), inbox:case_receive() }
    if got.channel == events then
      if got.value.kind == process.event.CANCEL then return end
      if got.value.from == ledger then ledger = report(index, events) end
    elseif got.value:from() == ledger then
      if got.value:topic() == "enough" then return end
      local number, line = table.unpack(got.value:payload())
      process.send(ledger, "scored", judge(number, line))
    end
  end
end

return { main = main }
