-- attack: select with values that are no cases, and with hostile tables
-- expect: refused
return function()
  for _, bad in ipairs { 5, "x", print, { 1 }, { {} }, { channel.new() }, { setmetatable({}, { __index = print }) } } do
    assert(not pcall(channel.select, bad))
  end
  assert(not pcall(channel.select))
  local r = channel.select({ setmetatable({}, nil) and channel.new():case_receive(), default = true })
  assert(r.default == true)
  r = channel.select(setmetatable({}, { __index = function() return channel.new():case_receive() end, __len = function() return 1 << 60 end }), true)
  assert(r.default == true)
  return "refused"
end
