-- attack: write with rawset, past every metamethod
-- modules: time, json
-- expect: refused
return function()
  for _, t in ipairs { string, table, math, os, coroutine, process, channel, errors, time, json,
    channel.new(), errors.new("x"), process.inbox() } do
    assert(not pcall(rawset, t, "rep", 1))
    assert(not pcall(rawset, t, 1, 1))
  end
  return "refused"
end
