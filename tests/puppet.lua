-- The puppet of tests/stage.py in Lua: takes commands on the topic `do`, answers on `reply`.

local context = require("ctx")

local function plain(event)
  local told = {kind = event.kind, from = event.from, deadline = event.deadline}
  local result = event.result
  if result and result.error then
    told.error = {message = tostring(result.error), kind = result.error:kind()}
  elseif result then
    told.value = result.value
  end
  return told
end

local function drained(ch, told)
  local items = {}
  while true do
    local got = channel.select{ch:case_receive(), default = true}
    if got.default or not got.ok then return items end
    items[#items + 1] = told(got.value)
  end
end

local function spawn(target, host, name, options)
  local builder = process.with_context(options.context or {})
  if name ~= "" then builder = builder:with_name(name) end
  for _, message in ipairs(options.messages or {}) do
    builder = builder:with_message(table.unpack(message))
  end
  local form = "spawn"
  if options.link then form = form .. "_linked" end
  if options.monitor then form = form .. "_monitored" end
  return builder[form](builder, target, host)
end

local operations = {
  spawn = spawn,
  trap = function(value) return process.set_options{trap_links = value} end,
  trapping = function() return process.get_options().trap_links end,
  context = function() return context.all() end,
  open = function(which) process[which]() end,
  events = function() return drained(process.events(), plain) end,
  inbox = function()
    return drained(process.inbox(), function(m)
      return {topic = m:topic(), from = m:from(), payload = m:payload()}
    end)
  end,
  listen = function(topic)
    local ch, err = process.listen(topic)
    if err then return nil, err end
    return drained(ch, function(value) return {value = value, present = true} end)
  end,
  unlisten = function(topic) return process.unlisten(process.listen(topic)) end,
  register = process.registry.register,
  unregister = process.registry.unregister,
  lookup = process.registry.lookup,
}

return function(...)
  local state = {...}
  operations.state = function() return state end
  local commands = process.listen("do")
  while true do
    local command, open = commands:receive()
    if not open then return end
    local op, args, n = command.op, command.args, command.n
    if op == "return" then return args[1] end
    if op == "fail" then error(args[1]) end
    if op == "upgrade" then process.upgrade(table.unpack(args, 1, n)) end
    local operation = operations[op] or process[op]
    local fine, value, err = pcall(operation, table.unpack(args, 1, n))
    if not fine then value, err = nil, value end
    local reply = {serial = command.serial, ok = err == nil, value = value}
    if err ~= nil then reply.value = err end
    process.send(command.reply_to, "reply", reply)
  end
end
