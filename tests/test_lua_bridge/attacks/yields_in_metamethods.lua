-- attack: block and yield in every metamethod, iterator and callback there is
-- expect: refused
return function()
  local ch = channel.new()
  coroutine.spawn(function() for _ = 1, 10000 do ch:send(1) end end)
  local function wait() return (ch:receive()) end
  local mt = { __index = wait, __newindex = wait, __call = wait, __add = wait, __concat = wait, __len = wait, __eq = wait,
    __lt = wait, __le = wait, __unm = wait, __tostring = function() wait() return "x" end, __pairs = function() wait() return next, {}, nil end,
    __close = wait, __band = wait, __shl = wait, __idiv = wait }
  local a, b = setmetatable({}, mt), setmetatable({}, mt)
  for _, f in ipairs {
    function() return a.x end, function() a.x = 1 end, function() return a() end, function() return a + b end, function() return a .. b end,
    function() return #a end, function() return a == b end, function() return a < b end, function() return a <= b end, function() return -a end,
    function() return tostring(a) end, function() for _ in pairs(a) do end end, function() local c <close> = a end, function() return a & b end,
    function() return a << b end, function() return a // b end, function() for _ in wait do break end end,
    function() return ("x"):gsub("x", wait) end, function() table.sort({ 3, 2, 1 }, wait) end, function() return load(wait) end,
    function() return string.format("%s", a) end, function() return table.concat({ 1, 2 }, a) end, function() return xpcall(error, wait, "x") end,
    function() return coroutine.wrap(function() return a + wait() end)() end,
  } do pcall(f) end
  return "refused"
end
