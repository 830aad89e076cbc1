-- attack: give a library as environment and write globals
-- expect: refused
return function()
  for _, lib in ipairs { string, table, math, os, coroutine, process, channel, errors } do
    local ok = pcall(load("rep = 1; send = 1; evil = 1", "x", "t", lib))
    assert(not ok, "wrote into a library")
  end
  local ok = pcall(function()
    local _ENV = string
    rep = nil
  end)
  assert(not ok)
  return "refused"
end
