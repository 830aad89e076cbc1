-- attack: a regular expression of exponential cost in a schema
-- modules: json
-- expect: harmless
return function()
  for _, pattern in ipairs { "^(a+)+$", "^(a|a)*$", "(.*)*(.*)*(.*)*x$", "^(([a-z])+.)+[A-Z]([a-z])+$" } do
    json.validate({ type = "string", pattern = pattern }, ("a"):rep(40) .. "!")
    json.validate({ patternProperties = { [pattern] = { type = "string" } } }, { [("a"):rep(40) .. "!"] = 1 })
  end
  return "done"
end
