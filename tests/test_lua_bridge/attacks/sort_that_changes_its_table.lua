-- attack: orders that lie, grow, shrink and swap the table under the sort
-- expect: dead RateLimited limit exceeded
return function()
  for round = 1, 30 do
    local t = {}
    for i = 1, 200 do t[i] = (i * 7919) % 211 end
    pcall(table.sort, t, function(a, b)
      if round % 3 == 0 then t[#t + 1] = round elseif round % 3 == 1 then t[#t] = nil else t[1], t[#t] = t[#t], t[1] end
      return round % 2 == 0
    end)
    pcall(table.sort, t, function() return true end)
    pcall(table.sort, { 1, "a", {}, print })
    pcall(table.sort, setmetatable({}, { __len = function() return math.maxinteger end }))
  end
  local t = {}
  while true do t[#t + 1] = 1 if #t < 1000 then pcall(table.sort, t, function() return true and #t % 2 == 0 end) end end
end
