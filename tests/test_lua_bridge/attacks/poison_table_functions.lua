-- attack: write into libraries and host objects with the functions of table
-- expect: refused
return function()
  for _, t in ipairs { string, table, math, process, errors, channel.new(), errors.new("x") } do
    assert(not pcall(table.insert, t, 1))
    assert(not pcall(table.insert, t, 1, 1))
    assert(not pcall(table.move, { 1, 2 }, 1, 2, 1, t))
    assert(t[1] == nil)
  end
  assert(not pcall(table.sort, setmetatable({}, { __len = function() return 2 end, __newindex = string })))
  return "refused"
end
