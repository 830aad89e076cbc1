"""An application with a race between Lua processes: that of the tutorial, in Lua."""

APPLICATION = """
namespace: shop
entries:
  - name: processes
    kind: process.host
    lifecycle: {auto_start: true}
  - name: stock
    kind: process.lua
    modules: [time]
    source: |
      local left = 1
      return { main = function()
        process.registry.register("stock")
        local inbox = process.inbox()
        while true do
          local msg, ok = inbox:receive()
          if not ok then return end
          if msg:topic() == "left?" then
            process.send(msg:from(), "left", left)
          elseif msg:topic() == "sell" then
            left = left - 1
            if left < 0 then error("oversold") end
          end
        end
      end }
  - name: stock_service
    kind: process.service
    process: stock
    host: processes
    lifecycle: {auto_start: true}
  - name: clerk
    kind: process.lua
    source: |
      return { main = function(colleague)
        local turn, answer = process.listen("your turn"), process.listen("left")
        turn:receive()
        process.send("stock", "left?")
        if answer:receive() > 0 then process.send("stock", "sell") end
        if colleague then process.send(colleague, "your turn") end
      end }
"""
