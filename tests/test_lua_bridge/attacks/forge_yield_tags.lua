-- attack: yield values that look like requests to the host
-- expect: harmless
return function()
  for _, v in ipairs { "exit", "op:process.terminate", "timer", {}, print, false, 0 } do coroutine.yield(v) end
  coroutine.yield()
  coroutine.yield(nil, nil)
  coroutine.yield(table.unpack({}, 1, 200))
  local inner = coroutine.wrap(function()
    coroutine.yield({}, "exit", 0)
    coroutine.yield()
    return "end"
  end)
  local a, b, c = inner()
  assert(type(a) == "table" and b == "exit" and c == 0)
  assert(select("#", inner()) == 0)
  assert(inner() == "end")
  return "done"
end
