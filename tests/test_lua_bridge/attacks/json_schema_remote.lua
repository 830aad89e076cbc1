-- attack: make the validator fetch something
-- modules: json
-- expect: refused
return function()
  for _, uri in ipairs { "http://localhost/schema.json", "https://example.com/x", "file:///etc/passwd", "//host/x" } do
    local ok, err = json.validate({ ["$ref"] = uri }, { a = 1 })
    assert(ok == false and err:kind() == errors.INVALID, tostring(err))
  end
  return "refused"
end
