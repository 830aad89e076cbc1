-- Ticks every 0.5 to 3 seconds and says by how many milliseconds each tick was late.
local function main(collector)
  local period = math.random(500, 3000)
  local events = process.events()
  local start = time.now()
  local ticks = time.ticker(period .. "ms"):channel()
  local n = 0
  while true do
    local got = channel.select { events:case_receive(), ticks:case_receive() }
    if got.channel == events then return n end
    n = n + 1
    local late = time.now():sub(start):nanoseconds() / 1e6 - n * period
    process.send(collector, "tick", late)
  end
end

return { main = main }
