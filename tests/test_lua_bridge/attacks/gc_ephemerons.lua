-- attack: a chain of weak keys that makes the collector's work quadratic
-- expect: harmless
return function()
  local weak = setmetatable({}, { __mode = "k" })
  local first = {}
  local key = first
  for i = 1, 20000 do
    local next_key = {}
    weak[key] = next_key
    key = next_key
  end
  local junk
  for i = 1, 100000 do junk = { i } end
  return "done"
end
