-- attack: reach shared metatables
-- expect: refused
return function()
  local function hidden(v)
    local ok, mt = pcall(getmetatable, v)
    assert(not ok or mt == nil or mt == false, "metatable of a " .. type(v))
  end
  hidden("")
  hidden(5)
  hidden(print)
  hidden(nil)
  hidden(coroutine.create(print))
  hidden(_G)
  hidden(string)
  hidden(process)
  hidden(process.registry)
  hidden(process.inbox())
  hidden(channel.new())
  hidden(channel.new():case_receive())
  hidden(errors.new("x"))
  return "refused"
end
