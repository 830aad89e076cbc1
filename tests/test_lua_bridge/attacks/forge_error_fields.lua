-- attack: build an Error from values of wrong types
-- expect: refused
return function()
  for _, spec in ipairs { {}, { message = 5 }, { message = {} }, { message = "x", kind = 5 },
    { message = "x", kind = "Nonsense" }, { message = "x", retryable = "yes" }, { message = "x", details = "no" },
    { message = "x", details = channel.new() } } do
    assert(not pcall(errors.new, spec))
  end
  assert(not pcall(errors.new))
  assert(not pcall(errors.new, setmetatable({}, { __index = function() return "x" end })))
  return "refused"
end
