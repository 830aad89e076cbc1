-- attack: wrong arguments to every function of process
-- modules: time, json, ctx
-- expect: harmless
return function(neighbour)
  local odd = { {}, print, true, -1, 0, 0 / 0, 2 ^ 70, "", "x", "\0", ("x"):rep(1000), channel.new(), errors.new("x"),
    coroutine.create(print), setmetatable({}, { __index = function() error("trap") end }) }
  local skip = { upgrade = true, terminate = true, call = true, sleep = true, cancel = true, link = true, select = true }
  for _, lib in ipairs { process, process.registry, channel, errors, time, json, ctx, string, table, math, os, utf8 } do
    for name, f in pairs(lib) do
      if type(f) == "function" and not skip[name] then
        for _, a in ipairs(odd) do
          pcall(f, a)
          pcall(f, neighbour, a)
          pcall(f, a, a, a)
        end
        pcall(f)
      end
    end
  end
  return "done"
end
