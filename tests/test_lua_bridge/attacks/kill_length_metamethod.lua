-- attack: a length of nine quintillion for the functions of table
-- expect: dead RateLimited limit exceeded
return function()
  local t = setmetatable({}, { __len = function() return math.maxinteger - 1 end, __index = function() return "x" end })
  while true do
    pcall(table.concat, t)
    pcall(table.unpack, t)
    pcall(table.sort, t)
    pcall(table.insert, t, 1, 1)
    pcall(table.remove, t, 1)
    pcall(table.move, t, 1, #t, 2)
  end
end
