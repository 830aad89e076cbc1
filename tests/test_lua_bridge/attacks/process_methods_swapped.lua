-- attack: call every method of every object with every other object
-- modules: time
-- expect: harmless
return function()
  local objects = { channel.new(2), channel.new():case_receive(), errors.new("x"), time.now(), time.parse_duration("1s"),
    time.utc, time.timer("1h"), time.ticker("1h"), process.with_context({}) }
  local names = { "send", "receive", "close", "case_send", "case_receive", "message", "kind", "details", "stack", "add",
    "sub", "format", "unix", "stop", "reset", "channel", "string", "seconds", "with_context", "with_name", "spawn" }
  for _, a in ipairs(objects) do
    for _, name in ipairs(names) do
      local method = a[name]
      if method and not (name == "receive" or name == "send") then
        for _, b in ipairs(objects) do
          if a ~= b then pcall(method, b, a) end
        end
        pcall(method)
        pcall(method, {}, {})
        pcall(method, "x")
      end
    end
  end
  return "done"
end
