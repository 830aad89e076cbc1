-- attack: send circles and shared references to every kind of receiver
-- expect: harmless
return function(neighbour)
  local t = { name = "x" }
  t.self, t.list, t[t] = t, { t, t }, t
  process.send(neighbour, "noise", t)
  process.send(process.pid(), "noise", t)
  local got = process.inbox():receive():payload()
  assert(got.self == got and got.list[1] == got and got[got] == got)
  return "done"
end
