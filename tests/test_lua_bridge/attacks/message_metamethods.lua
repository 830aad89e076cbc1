-- attack: send a table whose metamethods would run inside the host
-- expect: harmless
return function(neighbour)
  local function loop() while true do end end
  local trap = setmetatable({ 1, 2, x = 3 }, { __index = loop, __len = loop, __pairs = loop, __eq = loop, __lt = loop,
    __tostring = loop, __name = loop, __metatable = loop, __close = loop, __mode = "kv", __call = loop })
  assert(process.send(neighbour, "noise", trap))
  process.send(process.pid(), "noise", { trap, [trap] = trap })
  local got = process.inbox():receive():payload()
  assert(got[1][1] == 1 and got[1].x == 3)
  return "done"
end
