-- attack: sources that nest as deep as a parser can go
-- expect: refused
return function()
  for _, source in ipairs { ("("):rep(100000), ("{"):rep(100000), ("return function() "):rep(10000),
    ("a."):rep(100000), "return " .. ("-"):rep(100000) .. "1", "return " .. ("not "):rep(100000) .. "1",
    ("do "):rep(100000), ("if x then "):rep(5000), "return " .. ("1 .. "):rep(100000) .. "1" } do
    local f = load(source)
    assert(f == nil or type(f) == "function")
  end
  local locals = {}
  for i = 1, 300 do locals[i] = "local a" .. i .. " = 1" end
  assert(load(table.concat(locals, "\n")) == nil)
  return "refused"
end
