-- attack: programs that write larger programs, with thousands of locals, upvalues, constants and labels
-- expect: dead RateLimited limit exceeded
return function()
  local parts = {}
  for i = 1, 250 do parts[i] = "local a" .. i .. " = " .. i end
  assert(not load(table.concat(parts, "\n")))
  assert(not load("return " .. ("("):rep(10000) .. "1" .. (")"):rep(10000)))
  assert(not load("x = " .. ("{"):rep(10000)))
  assert(not load(("do "):rep(10000)))
  assert(load("local t = {" .. ("1,"):rep(100000) .. "}"))
  pcall(load, "return " .. ("-"):rep(100000) .. "1")
  pcall(load, "return " .. ("a.."):rep(10000) .. "a")
  pcall(load, "goto x " .. ("::l%d::"):rep(1000))
  local source = "return load(...)"
  while true do
    local f = load("local s = ... return function() return load('return ' .. #s) end")
    f(source)()
    source = source .. source:sub(1, 1000)
    if #source > 500000 then source = "" end
  end
end
