-- attack: messages beyond the limit of size
-- expect: refused
return function(neighbour)
  local big = ("x"):rep(1000000)
  local ok, err = process.send(neighbour, "noise", { big, big, big, big, big, big, big, big, big, big })
  assert(ok == nil and err:kind() == errors.INVALID, tostring(err))
  return "refused"
end
