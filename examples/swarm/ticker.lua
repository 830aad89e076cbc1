-- Ticks every 0.5 to 3 seconds and says by how many milliseconds each tick was late.
local function main(collector)
  local period = math.random(500, 3000)
  local events = process.events()
  local start = os.clock()
  local ticks = time.ticker(period .. "ms"):channel()
  local cases = { events:case_receive(), ticks:case_receive() } -- can be used again and again
  local n = 0
  while true do
    local got = channel.select(cases)
    if got.channel == events then return n end
    n = n + 1
    process.send(collector, "tick", (os.clock() - start) * 1000 - n * period)
  end
end

return { main = main }
