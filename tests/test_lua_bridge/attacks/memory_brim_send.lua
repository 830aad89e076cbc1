-- attack: fill memory to the brim, then send and print
-- expect: dead RateLimited limit exceeded
return function(neighbour)
  local keep = {}
  while true do
    pcall(function() while true do keep[#keep + 1] = ("x"):rep(64) .. #keep end end)
    pcall(process.send, neighbour, "noise", ("y"):rep(1000), { 1, 2, { 3 } })
    pcall(print, "full")
  end
end
