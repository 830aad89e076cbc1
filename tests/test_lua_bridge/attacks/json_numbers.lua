-- attack: numbers and escapes at every edge
-- modules: json
-- expect: harmless
return function()
  for _, s in ipairs { "1e999999", "-1e999999", ("9"):rep(10000), "0." .. ("0"):rep(10000) .. "1", "1e-999999",
    '"' .. ("\\u0000"):rep(10000) .. '"', '"\\ud800"', '"\\udc00\\ud800"', "[" .. ("1,"):rep(10000) .. "1]", "\0", "\255" } do
    json.decode(s)
  end
  return "done"
end
