-- attack: tables that pretend to be Errors
-- expect: refused
return function()
  local fakes = {
    setmetatable({}, { __metatable = "error" }),
    setmetatable({}, { __name = "error", __index = { kind = function() return errors.TIMEOUT end } }),
    { kind = function() return errors.TIMEOUT end, message = "x" },
  }
  for _, fake in ipairs(fakes) do
    assert(errors.is(fake, errors.TIMEOUT) == false)
    assert(errors.call_stack(fake) == nil)
    assert(not pcall(errors.wrap, fake, "x"))
    assert(not pcall(errors.new("x").message, fake))
    assert(not pcall(function() return "a" .. fake end))
  end
  return "refused"
end
