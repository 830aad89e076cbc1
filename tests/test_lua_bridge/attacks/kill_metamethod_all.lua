-- attack: loops in every metamethod that an operator calls
-- expect: dead RateLimited instruction limit exceeded
return function()
  local function loop() for i = 1, 1000000 do end end
  local mt = {}
  for _, name in ipairs { "__add", "__concat", "__eq", "__lt", "__le", "__len", "__call", "__unm", "__bnot", "__idiv" } do mt[name] = loop end
  local a, b = setmetatable({}, mt), setmetatable({}, mt)
  while true do
    pcall(function() return a + b, a .. b, a == b, a < b, a <= b, #a, a(), -a, ~a, a // b end)
  end
end
