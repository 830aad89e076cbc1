-- attack: send every byte as value, key, topic and name
-- expect: harmless
return function(neighbour)
  local bytes = {}
  for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
  local all = table.concat(bytes)
  process.send(neighbour, "noise", all, { [all] = all })
  process.send(neighbour, all, 1)
  process.send(all, "x", 1)
  process.send("{" .. all .. "|" .. all .. "}", "x", 1)
  process.listen(all)
  process.registry.register(all)
  process.registry.lookup(all)
  process.cancel(neighbour .. "\0", "1s\0")
  process.spawn(all, all, all)
  return "done"
end
