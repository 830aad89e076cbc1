-- attack: change the methods that all channels and errors share
-- expect: refused
return function()
  local ch, e = channel.new(1), errors.new("x")
  assert(not pcall(function() ch.send = print end))
  assert(not pcall(function() e.message = print end))
  assert(not pcall(function() ch[1] = 1 end))
  local send = ch.send
  assert(not pcall(send, {}, 1))
  assert(not pcall(send, e, 1))
  assert(not pcall(send, setmetatable({}, { __index = ch }), 1))
  assert(not pcall(e.message, ch))
  return "refused"
end
