-- attack: topics and names of a megabyte
-- expect: harmless
return function(neighbour)
  local long = ("x"):rep(1000000)
  process.send(neighbour, long, 1)
  process.send(long, "x", 1)
  process.listen(long)
  process.registry.register(long)
  process.terminate(long .. "y")
  process.cancel(neighbour, long)
  process.spawn(long, long)
  process.call(long .. ":x", long)
  return "done"
end
