-- attack: send functions and coroutines
-- expect: refused
return function(neighbour)
  for _, v in ipairs { print, coroutine.create(print), { a = { b = print } }, { [print] = 1 } } do
    local ok, err = process.send(neighbour, "noise", v)
    assert(ok == nil and err:kind() == errors.INVALID, tostring(err))
  end
  return "refused"
end
