-- attack: the loop in the comparison function of table.sort
-- expect: dead RateLimited instruction limit exceeded
return function()
  while true do pcall(table.sort, { 3, 1, 2 }, function() while true do end end) end
end
