-- attack: get at, or put something into, metatables of channels, errors, messages, times and cases
-- modules: time
-- expect: refused
return function()
  process.send(process.pid(), "t", 1)
  local m = process.inbox():receive()
  local ch = channel.new(1)
  for _, o in ipairs { ch, ch:case_receive(), errors.new("x"), m, time.now(), time.parse_duration("1s"), process.with_context({}), process, string } do
    assert(not getmetatable(o))
    assert(not pcall(setmetatable, o, {}))
    assert(not pcall(rawset, o, 1, 1))
    assert(next(o) == nil or o == process or o == string)
    assert(not pcall(function() o.x = 1 end))
    assert(not pcall(function() o[1] = 1 end))
    for k in pairs(o) do assert(type(k) == "string") end
    pcall(table.insert, o, 1) pcall(table.sort, o) pcall(table.move, { 1 }, 1, 1, 1, o) pcall(table.remove, o)
    local meta = setmetatable({}, { __index = o, __newindex = o, __call = o, __eq = o })
    pcall(function() meta.y = 1 end)
    pcall(function() return meta == setmetatable({}, { __eq = o }) end)
    pcall(meta)
  end
  assert(m:topic() == "t" and m:payload() == 1)
  return "refused"
end
