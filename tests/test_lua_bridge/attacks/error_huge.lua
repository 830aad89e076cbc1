-- attack: leave with an error of several megabytes
-- expect: dead
return function()
  local s = ("x"):rep(1000000)
  error(s .. s .. s .. s, 0)
end
