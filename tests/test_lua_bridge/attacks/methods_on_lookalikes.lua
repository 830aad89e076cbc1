-- attack: call methods of host objects on tables that answer every question, to learn private keys
-- modules: time
-- expect: refused
return function()
  local asked = {}
  local spy = setmetatable({}, { __index = function(_, k) asked[#asked + 1] = k return 1 end,
    __eq = function() return true end, __lt = function() return true end, __le = function() return true end,
    __len = function() return 1 end, __concat = function() return "x" end, __tostring = function() return "x" end })
  process.send(process.pid(), "t", 1)
  local m = process.inbox():receive()
  local ch, t, d = channel.new(), time.now(), time.parse_duration("1s")
  for _, o in ipairs { m, ch, t, d, errors.new("x"), process.with_context({}) } do
    for _, name in ipairs { "from", "topic", "payload", "receive", "send", "close", "case_receive", "case_send", "kind", "message",
      "details", "stack", "retryable", "format", "add", "sub", "seconds", "spawn", "with_name", "equal", "before" } do
      local f = o[name]
      if f then assert(not pcall(f, spy, spy), name) end
    end
  end
  pcall(channel.select, { spy }) pcall(process.unlisten, spy)
  pcall(errors.is, spy, "x") pcall(errors.wrap, spy, "x") pcall(errors.call_stack, spy)
  for _, k in ipairs(asked) do assert(type(k) ~= "table" and type(k) ~= "function", "a private key: " .. type(k)) end
  return "refused"
end
