-- attack: give libraries and host objects another metatable
-- expect: refused
return function()
  for _, t in ipairs { string, table, math, os, coroutine, process, process.event, channel, errors,
    channel.new(), errors.new("x"), process.inbox() } do
    assert(not pcall(setmetatable, t, {}))
    assert(not pcall(setmetatable, t, nil))
    assert(not pcall(setmetatable, {}, t) or true)
  end
  assert(not pcall(setmetatable, "", {}))
  assert(not pcall(setmetatable, print, {}))
  assert(not pcall(setmetatable, 1, {}))
  return "refused"
end
