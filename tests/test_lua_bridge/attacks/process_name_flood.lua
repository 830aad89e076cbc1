-- attack: names without end, and names of a megabyte
-- expect: refused
return function()
  local i, ok, err = 0, nil, nil
  repeat
    i = i + 1
    ok, err = process.registry.register("name " .. i)
  until not ok
  assert(err:kind() == errors.RATE_LIMITED, tostring(err))
  ok, err = process.registry.register(("x"):rep(1000000))
  assert(not ok and err:kind() == errors.INVALID, tostring(err))
  return "refused"
end
