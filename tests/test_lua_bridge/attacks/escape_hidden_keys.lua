-- attack: enumerate host objects to find their private state
-- expect: refused
return function()
  local objects = { channel.new(2), channel.new():case_receive(), errors.new { message = "x", details = { a = 1 } },
    process.inbox(), process.events() }
  for _, o in ipairs(objects) do
    for k in pairs(o) do error("pairs shows " .. tostring(k)) end
    for k in next, o do error("next shows " .. tostring(k)) end
    assert(next(o) == nil)
    assert(rawlen(o) == 0)
    assert(rawget(o, 1) == nil and rawget(o, "state") == nil)
    local ok, first = pcall(table.unpack, o)
    assert(not ok or first == nil)
  end
  return "refused"
end
