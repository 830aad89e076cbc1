-- attack: circles and depth for the JSON encoder
-- modules: json
-- expect: refused
return function()
  local t = {}
  t.a = t
  local _, err = json.encode(t)
  assert(err and err:kind() == errors.INTERNAL)
  local deep = {}
  local top = deep
  for i = 1, 10000 do
    deep[1] = {}
    deep = deep[1]
  end
  _, err = json.encode(top)
  assert(err and err:kind() == errors.INTERNAL)
  _, err = json.decode(("["):rep(1000000))
  assert(err and err:kind() == errors.INTERNAL)
  assert(select(2, json.validate(top, top)))
  return "refused"
end
