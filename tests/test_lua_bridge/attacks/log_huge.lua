-- attack: print megabytes, bytes and hostile values
-- expect: harmless
return function()
  print(("x"):rep(1000000), "\255\0", nil, print, {}, errors.new("x"), channel.new())
  print(setmetatable({}, { __tostring = function() return 5 end }))
  print(setmetatable({}, { __tostring = function() error("x") end }))
  print(setmetatable({}, { __name = ("x"):rep(1000000) }))
  print("%s %d %(x)s {} {0}")
  return "done"
end
