-- attack: assign to shared libraries and modules
-- modules: time, json
-- expect: refused
return function()
  for _, t in ipairs { string, table, math, os, coroutine, utf8, process, process.event, process.registry,
    channel, errors, time, json } do
    assert(not pcall(function() t.evil = true end), "new field")
    for k in pairs(t) do
      assert(not pcall(function() t[k] = "evil" end), "changed " .. tostring(k))
    end
    assert(t.evil == nil)
  end
  return "refused"
end
