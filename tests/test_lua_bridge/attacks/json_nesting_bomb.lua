-- attack: text with a million brackets, numbers and escapes for the JSON reader
-- modules: json
-- expect: dead RateLimited limit exceeded
return function()
  for _, s in ipairs { ("["):rep(1000000), ('{"a":'):rep(200000), ("[" ):rep(60) .. ("]"):rep(60),
    '"' .. ("\\u0000"):rep(100000) .. '"', '"' .. ("\\ud800"):rep(1000) .. '"', ("9"):rep(1000000), "1e999999999",
    "-", '"\\', "nul", "[1,]", '{"a":1,"a":2}', ("[1"):rep(3), "\255\254", ("[],"):rep(100000) } do
    pcall(json.decode, s)
  end
  while true do pcall(json.decode, ("["):rep(1000000)) end
end
