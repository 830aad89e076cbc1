-- attack: return a table whose metamethods would trap the host
-- expect: harmless
return function()
  local function loop() while true do end end
  return setmetatable({ "done" }, { __index = loop, __len = loop, __pairs = loop, __eq = loop, __tostring = loop })
end
