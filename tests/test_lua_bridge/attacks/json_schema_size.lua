-- attack: an enormous schema, and bounds that need enormous numbers
-- modules: json
-- expect: harmless
return function()
  local schema = { type = "object", properties = {} }
  for i = 1, 2000 do schema.properties["p" .. i] = { type = "integer", minimum = i } end
  json.validate(schema, { p1 = 0 })
  json.validate('{"multipleOf":1e-300}', 1e300)
  json.validate('{"minLength":99999999999999999999}', "x")
  json.validate('{"minItems":-1}', {})
  json.validate('{"type":"string","format":"regex"}', "(")
  json.validate('{"type":["string","nonsense"]}', 1)
  json.validate("[]", 1)
  json.validate("", 1)
  json.validate("x", 1)
  json.validate_string({}, "x")
  return "done"
end
