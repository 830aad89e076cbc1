-- attack: schemas that refer to themselves without end
-- modules: json
-- expect: harmless
return function()
  for _, schema in ipairs { '{"$ref":"#"}', '{"allOf":[{"$ref":"#"}]}', '{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}',
    '{"$dynamicRef":"#x","$dynamicAnchor":"x"}', '{"not":{"$ref":"#"}}', '{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}',
    '{"if":{"$ref":"#"},"then":true}' } do
    json.validate(schema, { a = 1 })
  end
  local deep = ('{"properties":{"a":'):rep(120) .. "true" .. ("}}"):rep(120)
  json.validate(deep, { a = { a = 1 } })
  return "done"
end
