-- Ticks every 0.5 to 3 seconds and says by how many milliseconds each tick was late when it was read.
local CLOSE = 5 -- milliseconds that two clocks may differ by

local function main(collector)
  local period = math.random(500, 3000)
  local events = process.events()
  local start = time.now()
  local ticks = time.ticker(period .. "ms"):channel()
  local cases = { events:case_receive(), ticks:case_receive() } -- can be used again and again
  while true do
    local got = channel.select(cases)
    if got.channel == events then return end
    -- a tick stands for the last of its times before it fired; those missed are left out (D4)
    local fired = got.value:sub(start):milliseconds()
    local due = (fired + CLOSE) // period * period
    process.send(collector, "tick", time.now():sub(start):nanoseconds() / 1e6 - due)
  end
end

return { main = main }
