-- attack: leave with an error value of every odd kind (here: a table with hostile metamethods)
-- expect: dead Internal error object
return function()
  local function loop() while true do end end
  error(setmetatable({}, { __tostring = loop, __index = loop, __name = 5, __concat = loop, __eq = loop }))
end
