-- attack: weak tables with resurrecting keys
-- expect: harmless
return function()
  local w = setmetatable({}, { __mode = "kv" })
  for i = 1, 50000 do w[{}] = {} end
  local n = 0
  for _ in pairs(w) do n = n + 1 end
  return "done"
end
